#!/usr/bin/env bash
# Set up, then train on the embedded set datasets/rps_mini from scratch and write the result page.
# Arguments go to train.py: bash scripts/demo.sh --seed 1
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd)
bash "$root/scripts/setup.sh"
cd "$root"
unset PYTHONHOME PYTHONPATH
export PATH="$root/.venv/bin:$PATH"

# The recipe.
python train.py --dataroot rps_mini --model cgan --name rps_mini_demo --overwrite "$@"
python test.py --name rps_mini_demo

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
