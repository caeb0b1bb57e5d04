#!/usr/bin/env bash
# Photos of hands by class at 128 pixels: colours from a palette and noise at each pixel, and R3GAN's objective.
#
#     bash scripts/recipes/rps_photos.sh FOLDER                         an hour of two CPU cores
#     bash scripts/recipes/rps_photos.sh FOLDER --ngf 24 --ndf 24       on a GPU: wider networks, minutes
#     bash scripts/recipes/rps_photos.sh FOLDER --quick                 small networks, one epoch of few images
#
# FOLDER holds a folder of photos for each class. Further arguments go to train.py: --val_list FILE names the photos to
# measure against, where several show the same hand (docs/datasets.md).
set -euo pipefail
TAKES_FOLDER=yes
QUICK="--ngf 8 --ndf 8 --image_size 64 --max_dataset_size 500 --n_epochs 1"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python -m pip install --quiet -r requirements-metrics.txt
python train.py --model cgan --dataroot "$folder" --name rps_photos --overwrite --image_size 128 --flip \
    --netG res --palette 16 --noise_inputs --netD res --norm_D none --ngf 16 --ndf 16 --dropout 0 --norm_eps 1e-5 \
    --gan_mode rpgan --r1_gamma 4 --r2_gamma 4 --penalty_freq 4 --lambda_mismatch 0.5 --diffaugment translation \
    --batch_size 16 --n_epochs 60 --lr 7e-4 --lr_policy cosine --beta1 0 --beta2 0.99 --ema 0.998 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name rps_photos --num_test 300 --feature_size 128 --metrics kid,precision,recall,accuracy,grain,grid
show_pages rps_photos
