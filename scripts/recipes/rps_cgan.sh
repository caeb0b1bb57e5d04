#!/usr/bin/env bash
# The conditional GAN on rendered hands that show rock, paper and scissors, 128 pixels, as its source trains it.
#
#     bash scripts/recipes/rps_cgan.sh                      100 epochs: hours on a CPU, minutes on a GPU
#     bash scripts/recipes/rps_cgan.sh --quick              the embedded hands, 64 pixels, small networks: minutes on a CPU
#     bash scripts/recipes/rps_cgan.sh --dataroot PATH      further arguments go to train.py
#
# What of the shared options suits such images better is in docs/noise_models.md.
set -euo pipefail
QUICK="--dataroot rps_mini --image_size 64 --ngf 16 --ndf 16 --batch_size 32 --n_epochs 2"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python train.py --model cgan --dataroot rps --name rps_cgan --overwrite --image_size 128 --batch_size 128 \
    --n_epochs 100 ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python scripts/class_accuracy.py --name rps_cgan --num_test 300
python test.py --name rps_cgan --num_test 300 --interpolate 10
show_pages rps_cgan
