#!/usr/bin/env bash
# pix2pix from labels to facades, as in its paper: 200 epochs of 400 pairs at 256 pixels, one pair at a time.
#
#     bash scripts/train_pix2pix.sh                     hours on a GPU; downloads 30 MB
#     bash scripts/train_pix2pix.sh --quick             one epoch
#     bash scripts/train_pix2pix.sh --dataroot edges2shoes --name shoes --direction AtoB
#
# test_pix2pix.sh shows what was learnt; --continue_train goes on.
set -euo pipefail
QUICK="--n_epochs 1 --n_epochs_decay 0 --max_dataset_size 100"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

python train.py --model pix2pix --dataroot facades --name facades_pix2pix --direction BtoA \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
