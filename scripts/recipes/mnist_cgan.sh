#!/usr/bin/env bash
# The fully connected conditional GAN on MNIST, and the digits 7,8,1,3,4,2,6,5,9,0 from it, in that order.
#
#     bash scripts/recipes/mnist_cgan.sh                    about five minutes on two CPU cores
#     bash scripts/recipes/mnist_cgan.sh --quick            one epoch of a sixth of the images
#     bash scripts/recipes/mnist_cgan.sh --n_epochs 20      further arguments go to train.py
#
# The source's own settings (Adam .9, batch norm's epsilon .8) let D win from the second epoch on; these do not.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python train.py --model cgan --dataroot mnist --name mnist_cgan --overwrite --netG mlp --netD mlp --batch_size 100 \
    --n_epochs 8 --fake_labels random --norm_eps 1e-5 --lambda_mismatch 0.5 --ema 0.999 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python scripts/class_accuracy.py --name mnist_cgan --num_test 1000
python test.py --name mnist_cgan --labels 7,8,1,3,4,2,6,5,9,0 --num_test 200 --interpolate 10
show_pages mnist_cgan
