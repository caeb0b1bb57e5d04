#!/usr/bin/env bash
# Turn one maker's emoji into another's, from the embedded pairs in datasets/emoji_mini: pix2pix, from scratch.
#
#     bash scripts/demo_translation.sh                  about four minutes on two CPU cores
#     bash scripts/demo_translation.sh --quick          one epoch
#     bash scripts/demo_translation.sh --direction BtoA further arguments go to train.py
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

# 64 pixels need a U-Net of 64 and smaller patches; larger batches and rates suit a short training.
python train.py --model pix2pix --dataroot emoji_mini --name emoji_mini_demo --overwrite \
    --netG unet_64 --ngf 24 --netD n_layers --n_layers_D 2 --ndf 24 --batch_size 8 --lr 5e-4 \
    --n_epochs 15 --n_epochs_decay 15 --ema 0.99 ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name emoji_mini_demo
echo
show_pages emoji_mini_demo
