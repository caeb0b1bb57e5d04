#!/usr/bin/env bash
# What the options beyond the paper are worth: the conditional GAN on rendered hands that show rock, paper and scissors
# as its source trains it, and with what later papers found, both on the same number of images and measured on the same
# held-out ones.
#
#     bash scripts/recipes/rps_quality.sh                                       100 epochs each: for a GPU
#     bash scripts/recipes/rps_quality.sh --quick                               the embedded hands, small networks: minutes
#     bash scripts/recipes/rps_quality.sh --dataroot PATH --val_list FILE       further arguments go to train.py
#
# It ends with a page that shows both side by side; python scripts/reproduce.py puts them into docs/results.md.
set -euo pipefail
QUICK="--dataroot rps_mini --image_size 64 --ngf 16 --ndf 16 --batch_size 32 --n_epochs 2 --eval_freq 1000 --eval_images 99"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python -m pip install --quiet -r requirements-metrics.txt
python train.py --model cgan --dataroot rps --name rps_plain --overwrite --image_size 128 --batch_size 128 \
    --n_epochs 100 --eval_freq 25000 --metrics kid,precision,recall,accuracy,shares --feature_size 128 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python train.py --model cgan --dataroot rps --name rps_modern --overwrite --image_size 128 --batch_size 16 \
    --n_epochs 100 --eval_freq 25000 --metrics kid,precision,recall,accuracy,shares --feature_size 128 \
    --netG res --palette 16 --noise_inputs --netD res --norm_D none --ngf 24 --ndf 24 --dropout 0 --norm_eps 1e-5 \
    --gan_mode rpgan --r1_gamma 4 --r2_gamma 4 --penalty_freq 4 --lambda_mismatch 0.5 --diffaugment translation --flip \
    --lr 7e-4 --beta1 0 --beta2 0.99 --lr_policy cosine --ema 0.998 ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
for name in rps_plain rps_modern; do
    python test.py --name "$name" --epoch best --num_test 300 --metrics kid,precision,recall,accuracy,shares \
        --feature_size 128 ${quick[@]+--eval_images 99}
done
python scripts/compare.py rps_plain rps_modern --epoch best
