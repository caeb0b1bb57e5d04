#!/usr/bin/env bash
# Colours for grey images: pix2pix from lightness to colour.
#
#     bash scripts/train_colorization.sh                                        the embedded emoji, 64 pixels
#     bash scripts/train_colorization.sh --quick                                one epoch
#     bash scripts/train_colorization.sh --dataroot ~/photos --netG unet_256    any folder of colour images
#
# test_colorization.sh shows what was learnt.
set -euo pipefail
QUICK="--n_epochs 1 --n_epochs_decay 0 --ngf 16"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

python train.py --model colorization --dataroot emoji_mini --netG unet_64 --name colorization \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
