#!/usr/bin/env bash
# Set up, then train on the embedded set datasets/rps_mini from scratch and write the result page.
# Arguments go to train.py: bash scripts/demo.sh --seed 1
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipes/recipe.sh"

# The recipe: small networks and small batches, for two CPU cores and four minutes. G resizes instead of using transposed
# convolutions, whose checkerboards D's strides would hide; shifted images keep D from learning 1,296 of them by heart.
python train.py --model cgan --dataroot rps_mini --name rps_mini_demo --overwrite \
    --ngf 24 --ndf 20 --batch_size 16 --n_epochs 25 --lr_policy cosine \
    --netD dcgan --upsample resize --diffaugment translation \
    --gan_mode hinge --lambda_mismatch 0.5 --dropout 0 --norm_eps 1e-5 \
    --lr 5e-4 --beta1 0 --beta2 0.99 --ema 0.99 ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name rps_mini_demo --num_test 300 --interpolate 10
echo
show_pages rps_mini_demo
