#!/usr/bin/env bash
# Faces of 128 pixels, or whatever a flat folder of images holds: the middle of each is cropped to a square.
#
#     bash scripts/recipes/faces_dcgan.sh FOLDER                        hours; a GPU helps
#     bash scripts/recipes/faces_dcgan.sh FOLDER --quick                small networks, few images, minutes on two CPU cores
#     bash scripts/recipes/faces_dcgan.sh FOLDER --netG conv_k8 --netD conv_k8     the tutorial's kernels of 8
#
# Further arguments go to train.py. The untrained generator's images are the first on the training page.
set -euo pipefail
TAKES_FOLDER=yes
QUICK="--ngf 8 --ndf 8 --image_size 64 --max_dataset_size 2000 --n_epochs 2"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python train.py --model dcgan --dataroot "$folder" --name faces_dcgan --overwrite --image_size 128 --fit crop --flip \
    --batch_size 128 --n_epochs 25 --ema 0.999 --label_smoothing 0.1 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name faces_dcgan --interpolate 10 --interpolation slerp --nearest 5
show_pages faces_dcgan
