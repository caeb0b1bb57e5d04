#!/usr/bin/env bash
# Translate a folder of images one way, by a run or by weights alone in checkpoints/NAME; arguments go to test.py:
#
#     bash scripts/test_single.sh --name horse2zebra_cyclegan --dataroot ~/horses
#     bash scripts/test_single.sh --name facades_pix2pix --dataroot ~/labels/1.png --preprocess none
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

python test.py --model test ${more[@]+"${more[@]}"}
