#!/usr/bin/env bash
# Set up, then train on the embedded set datasets/rps_mini from scratch and write the result page.
# Arguments go to train.py: bash scripts/demo.sh --seed 1
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

# The recipe: R3GAN's objective and penalties on small networks and small batches, for two CPU cores and four minutes.
# The hands are drawings, flat on an even background: G mixes each from 16 colours.
# Real images under a wrong label teach D the classes, which projection alone does slowly (docs/noise_models.md).
python train.py --model cgan --dataroot rps_mini --name rps_mini_demo --overwrite \
    --netG res --palette 16 --netD res --norm_D none --ngf 16 --ndf 16 --dropout 0 --norm_eps 1e-5 \
    --gan_mode rpgan --r1_gamma 2 --r2_gamma 2 --penalty_freq 4 --lambda_mismatch 0.5 \
    --batch_size 8 --n_epochs 16 --lr 7e-4 --lr_policy cosine --beta1 0 --beta2 0.99 --ema 0.9975 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name rps_mini_demo --num_test 300 --interpolate 10
echo
show_pages rps_mini_demo
