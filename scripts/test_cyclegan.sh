#!/usr/bin/env bash
# Translate all test images of the run that train_cyclegan.sh made, both ways; arguments go to test.py:
#
#     bash scripts/test_cyclegan.sh --num_test 50
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

python test.py --name horse2zebra_cyclegan ${more[@]+"${more[@]}"}
