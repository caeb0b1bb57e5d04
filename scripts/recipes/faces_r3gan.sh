#!/usr/bin/env bash
# Faces of 128 pixels, or whatever a flat folder of photographs holds, by R3GAN's objective with noise at each pixel and
# adaptive augmentation, so that a few thousand images are enough. The middle of each is cropped to a square.
#
#     bash scripts/recipes/faces_r3gan.sh FOLDER                        for a GPU
#     bash scripts/recipes/faces_r3gan.sh FOLDER --quick                small networks, few images, minutes on two CPU cores
#
# Further arguments go to train.py. It has not been run at full length: the documentation has no pictures of it.
set -euo pipefail
TAKES_FOLDER=yes
QUICK="--ngf 8 --ndf 8 --image_size 64 --batch_size 16 --max_dataset_size 2000 --n_epochs 2"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python train.py --model r3gan --dataroot "$folder" --name faces_r3gan --overwrite --image_size 128 --fit crop --flip \
    --ngf 64 --ndf 64 --noise_inputs --augment ada --gamma_end 0.1 --batch_size 64 --n_epochs 100 --ema 0.999 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name faces_r3gan --interpolate 60 --interpolation slerp --video --nearest 5
show_pages faces_r3gan
