#!/usr/bin/env bash
# Translate all test images of the run that train_pix2pix.sh made; arguments go to test.py:
#
#     bash scripts/test_pix2pix.sh --epoch 100 --num_test 50
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

python test.py --name facades_pix2pix ${more[@]+"${more[@]}"}
