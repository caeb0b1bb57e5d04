#!/usr/bin/env bash
# Colour all test images of the run that train_colorization.sh made; arguments go to test.py:
#
#     bash scripts/test_colorization.sh --num_test 50
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

python test.py --name colorization ${more[@]+"${more[@]}"}
