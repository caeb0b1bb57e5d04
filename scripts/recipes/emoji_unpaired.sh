#!/usr/bin/env bash
# Noto's emoji become Twemoji's without pairs: CycleGAN, CUT and FastCUT, with networks of one size, for equal time.
#
#     bash scripts/recipes/emoji_unpaired.sh --dataroot PATH    trainA/ trainB/ testA/ testB/ of 64 pixels, 35 minutes each
#     bash scripts/recipes/emoji_unpaired.sh --quick            the embedded emoji, small networks, one epoch: minutes
#
# Further arguments go to train.py. An image takes CUT 1.2 times and FastCUT 0.6 times as long as CycleGAN, which is why
# the epochs differ. It ends with a page that shows all three; python scripts/reproduce.py puts them into docs/results.md.
set -euo pipefail
QUICK="--dataroot emoji_mini --n_epochs 1 --netG resnet_2blocks --ngf 16 --ndf 16 --ema 0.95"
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

train() {
    python train.py --dataroot emoji_unpaired --name "$@" --overwrite --load_size 64 --crop_size 64 --n_epochs_decay 0 \
        --netG resnet_4blocks --ngf 24 --netD n_layers --n_layers_D 2 --ndf 24 --batch_size 4 --lr 4e-4 \
        --lr_policy cosine --ema 0.995 ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
}

python -m pip install --quiet -r requirements-metrics.txt
train emoji_cycle_gan --model cycle_gan --upsample resize --n_epochs 5
train emoji_cut --model cut --n_epochs 4
train emoji_fastcut --model cut --CUT_mode FastCUT --n_epochs 8
for name in emoji_cycle_gan emoji_cut emoji_fastcut; do
    python test.py --name "$name" --metrics kid,precision,recall,grid
done
python scripts/compare.py emoji_cycle_gan emoji_cut emoji_fastcut
