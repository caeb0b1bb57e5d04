#!/usr/bin/env bash
# CVAE-GAN on MNIST: digits of each class, reconstructions, and real digits in every other class.
#
#     bash scripts/recipes/mnist_cvae_gan.sh                    about ten minutes of one CPU core
#     bash scripts/recipes/mnist_cvae_gan.sh --quick            one epoch of a sixth of the images
#     bash scripts/recipes/mnist_cvae_gan.sh --n_epochs 10      further arguments go to train.py
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python train.py --model cvae_gan --dataroot mnist --name mnist_cvae_gan --overwrite --batch_size 64 --n_epochs 3 \
    --nz 16 --ndf 16 --lr 5e-4 --ema 0.99 --save_epoch_freq 1 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python scripts/class_accuracy.py --name mnist_cvae_gan --num_test 1000
python test.py --name mnist_cvae_gan --num_test 200 --interpolate 10 --nearest 5
show_pages mnist_cvae_gan
