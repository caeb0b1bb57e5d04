#!/usr/bin/env bash
# GAN, WGAN, WGAN-GP with linear layers, then DCGAN, WDCGAN, WDCGAN-GP with convolutions, on MNIST, each in turn; then a
# table: the share of each digit among 5,000 images of each, by a classifier, its entropy, the classifier's confidence.
#
#     bash scripts/recipes/mnist_gan_ladder.sh                              about an hour on two CPU cores
#     bash scripts/recipes/mnist_gan_ladder.sh --quick                      a sixth of the images, one epoch: minutes
#     bash scripts/recipes/mnist_gan_ladder.sh --dataroot fashion_mnist     further arguments go to train.py
#
# All six are compared after three epochs; those with linear layers, which are fast, go on to six.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/recipe.sh"

train() {
    python train.py --dataroot mnist --name "$@" --batch_size 32 --save_epoch_freq 3 --print_freq 5000 --overwrite \
        ${quick[@]+"${quick[@]}"} ${more[@]+"${more[@]}"}
}
mlp=(--netG mlp --netD mlp --n_epochs 6)
conv=(--netG conv28 --netD conv28 --ngf 16 --ndf 16 --n_epochs 3)

train mnist_gan --model gan "${mlp[@]}"
train mnist_wgan --model wgan "${mlp[@]}" --lr 5e-4 --clip 0.05
train mnist_wgan_gp --model wgan_gp "${mlp[@]}" --lr 5e-4
train mnist_dcgan --model dcgan "${conv[@]}"
train mnist_wdcgan --model wgan "${conv[@]}" --lr 5e-4 --clip 0.05
train mnist_wdcgan_gp --model wgan_gp "${conv[@]}" --lr 5e-4

linear=(mnist_gan mnist_wgan mnist_wgan_gp)
convolutional=(mnist_dcgan mnist_wdcgan mnist_wdcgan_gp)
for name in "${linear[@]}" "${convolutional[@]}"; do
    python test.py --name "$name" --interpolate 10
done
if ((${#quick[@]} + ${#more[@]} == 0)); then
    python scripts/class_accuracy.py "${linear[@]}" "${convolutional[@]}" --epoch 3 --num_test 5000
    mv results/class_accuracy.md results/class_accuracy_epoch_3.md
fi
python scripts/class_accuracy.py "${linear[@]}" "${convolutional[@]}" --num_test 5000
show_pages "${linear[@]}" "${convolutional[@]}"
