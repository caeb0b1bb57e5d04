#!/usr/bin/env bash
# Set up, then train on the embedded set datasets/rps_mini from scratch and write the result page.
# Arguments go to train.py: bash scripts/demo.sh --seed 1
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
bash "$root/scripts/setup.sh"
cd "$root"
unset PYTHONHOME PYTHONPATH
export PATH="$root/.venv/bin:$PATH"

# The recipe: small networks and small batches, for two CPU cores and a few minutes.
python train.py --model cgan --dataroot rps_mini --name rps_mini_demo --overwrite \
    --ngf 24 --ndf 20 --batch_size 16 --n_epochs 25 --lr_policy cosine \
    --gan_mode hinge --lambda_mismatch 0.5 --dropout 0 --norm_eps 1e-5 \
    --lr 5e-4 --beta1 0 --beta2 0.99 --ema 0.99 "$@"
python test.py --name rps_mini_demo --num_test 300 --interpolate 10

training_page=$root/checkpoints/rps_mini_demo/web/index.html
result_page=$root/results/rps_mini_demo/test_latest/index.html
for page in "$training_page" "$result_page"; do
    if [[ ! -f $page ]]; then
        echo "demo: there is no $page" >&2
        exit 1
    fi
done
echo
echo "How the training went: $training_page"
echo "What came out of it:   $result_page"
