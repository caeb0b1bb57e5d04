#!/usr/bin/env bash
# CIFAR-10 by class: SNGAN with projection, on the schedule of its papers (arXiv:1802.05957, arXiv:1802.05637): 100,000
# updates of G with five of D before each, batches of 64, the rate falling to 0; and a moving average of G besides.
#
#     bash scripts/recipes/cifar10_sngan.sh                   for a GPU
#     bash scripts/recipes/cifar10_sngan.sh --quick           narrow networks, minutes on two CPU cores
#
# Further arguments go to train.py. It has not been run at full length: the documentation has no figures of it.
set -euo pipefail
QUICK="--ngf 8 --ndf 8 --max_dataset_size 3200 --n_epochs 1 --n_epochs_decay 1 --eval_freq 3200 --eval_images 200"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

python -m pip install --quiet -r requirements-metrics.txt
python train.py --model sngan --conditional --dataroot cifar10 --name cifar10_sngan --overwrite --n_epochs 1 \
    --n_epochs_decay 639 --lr_policy linear --ema 0.9999 --eval_freq 1000000 --metrics kid,frechet --eval_images 10000 \
    ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
python test.py --name cifar10_sngan --epoch best --num_test 200 --metrics kid,frechet,precision,recall \
    --eval_images 10000 ${quick[@]+--eval_images 200}
show_pages cifar10_sngan
