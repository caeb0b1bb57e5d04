#!/usr/bin/env bash
# Clothes by class, Fashion-MNIST: small convolutions with noise at each pixel, for the weave, and R3GAN's objective.
#
#     bash scripts/recipes/fashion_res.sh                     about five minutes of one CPU core
#     bash scripts/recipes/fashion_res.sh --quick             one epoch of a sixth of the images
#
# Further arguments go to train.py.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python -m pip install --quiet -r requirements-metrics.txt
python train.py --model cgan --dataroot fashion_mnist --name fashion_res --overwrite --netG res --noise_inputs --netD res \
    --norm_D none --ngf 16 --ndf 16 --dropout 0 --norm_eps 1e-5 --gan_mode rpgan --r1_gamma 0.5 --r2_gamma 0.5 \
    --penalty_freq 4 --lambda_mismatch 1.5 --batch_size 32 --n_epochs 3 --lr 7e-4 --lr_policy cosine \
    --beta1 0 --beta2 0.99 --ema 0.998 ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name fashion_res --num_test 200 --metrics kid,precision,recall,accuracy,grain,grid
show_pages fashion_res
