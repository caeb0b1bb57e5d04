#!/usr/bin/env bash
# CycleGAN between horses and zebras, as in its paper: 200 epochs at 256 pixels, one image of each at a time.
#
#     bash scripts/train_cyclegan.sh                    a day or two on a GPU; downloads 117 MB
#     bash scripts/train_cyclegan.sh --quick            one epoch of a tenth
#     bash scripts/train_cyclegan.sh --dataroot monet2photo --name monet2photo
#
# For 128 pixels the paper uses --netG resnet_6blocks. test_cyclegan.sh shows what was learnt.
set -euo pipefail
QUICK="--n_epochs 1 --n_epochs_decay 0 --max_dataset_size 100"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

python train.py --model cycle_gan --dataroot horse2zebra --name horse2zebra_cyclegan \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
