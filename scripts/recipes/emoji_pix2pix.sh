#!/usr/bin/env bash
# pix2pix: Noto's drawing of an emoji becomes Twemoji's. 64 pixels, without a checkerboard, L1 on held-out pairs.
#
#     bash scripts/recipes/emoji_pix2pix.sh --dataroot PATH     pairs of 64 pixels: 3,000 take a quarter of an hour of one CPU core
#     bash scripts/recipes/emoji_pix2pix.sh --quick             the 479 embedded pairs, two epochs: a minute
#
# Further arguments go to train.py. python scripts/reproduce.py puts what it reached into docs/results.md.
set -euo pipefail
QUICK="--dataroot emoji_mini --n_epochs 2 --ema 0.95"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python train.py --model pix2pix --dataroot emoji_pairs --name emoji_pix2pix --overwrite --load_size 64 --crop_size 64 \
    --netG unet_64 --upsample resize --ngf 32 --no_dropout --netD n_layers --n_layers_D 2 --ndf 16 --batch_size 8 \
    --lr 1e-3 --beta2 0.99 --lr_policy cosine --n_epochs 18 --n_epochs_decay 0 --lambda_L1 300 --ema 0.995 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name emoji_pix2pix --metrics l1,psnr,ssim,grid
show_pages emoji_pix2pix
