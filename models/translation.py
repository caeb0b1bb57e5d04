"""The base of models that translate images from domain A to domain B."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from torch import Tensor

from models.adversarial import AdversarialModel
from models.losses.image_pool import ImagePool
from models.networks.architecture import DiscriminatorArchitecture, GeneratorArchitecture
from models.networks.init import Init
from models.networks.norm import Norm, use_image_statistics
from models.networks.recognize import (
    compare,
    describe,
    foreign_state,
    recognize_discriminator,
    recognize_generator,
)
from models.networks.segments import recompute_segments
from models.networks.sides import Upsample, fitting_side, padded
from models.networks.tiles import check_tile, tiled
from models.networks.translation import Discriminator, Generator, create_discriminator, create_generator
from options import option
from util.console import warn


class TranslationModel(AdversarialModel):
    """Generators and discriminators chosen by the options, for images of any size."""

    @dataclass(frozen=True, kw_only=True)
    class Options(AdversarialModel.Options):
        netG: str = option(
            "resnet_9blocks", help="generator: resnet_Nblocks for any N, unet_N for 32, 64, 128, 256 ..."
        )
        netD: Literal["basic", "n_layers", "pixel"] = option(
            "basic", help="discriminator: 70 x 70 PatchGAN (basic), PatchGAN of --n_layers_D layers, or 1 x 1 (pixel)"
        )
        ngf: int = option(64, help="channels of G's outer layers", min=1)
        ndf: int = option(64, help="channels of D's first layer", min=1)
        n_layers_D: int = option(
            3, help="netD n_layers: number of downsampling layers", min=1, only_with=("netD n_layers",)
        )
        norm: Norm = option("instance", help="normalization in G and D")
        init_type: Init = option("normal", help="initial weights")
        init_gain: float = option(0.02, help="scale of the initial weights; kaiming ignores it", above=0)
        dropout: bool = option(True, help="dropout of .5 in G")
        upsample: Upsample = option("deconv", help="how G upsamples; resize and blur avoid checkerboard artifacts")
        antialias: bool = option(False, help="blur where G and D downsample, as CUT does; not for U-Nets")
        checkpoint_activations: bool = option(
            False,
            help="save memory: compute G's activations again in the backward pass instead of keeping them",
            resume="free",
        )

    opt: Options
    needs: ClassVar[tuple[str, ...]] = ("A", "B")
    tile, tile_overlap = 0, 0  # pixels; 0: images are translated whole

    def generator(self, input_nc: int, output_nc: int) -> Generator:
        opt = self.opt
        arch = GeneratorArchitecture.of(opt, input_nc=input_nc, output_nc=output_nc)
        net = create_generator(arch, opt.init_type, opt.init_gain)
        self.warn_of_padding(net)
        if opt.checkpoint_activations:
            recompute_segments(net)
        return net

    def fit_batches(self, batch_size: int) -> None:
        super().fit_batches(batch_size)
        for net in self.modules():
            if isinstance(net, ImagePool) and 0 < net.size < self.micro_batch_size:
                raise ValueError(
                    f"--pool_size {net.size} is less than --batch_size {batch_size}: use a larger one, or 0"
                )
            if isinstance(net, Generator) and self.micro_batch_size == 1:  # so it is tested on single images too
                use_image_statistics(net)

    def warn_of_padding(self, netG: Generator) -> None:
        """Warn when images are padded to more than twice their pixels; name a network that pads less."""
        sides = self.spec.image_size

        def padded_sides(multiple: int, smallest: int) -> tuple[int, ...]:
            return tuple(fitting_side(side, multiple, smallest) for side in sides)

        now = padded_sides(netG.size_multiple, netG.min_size)
        largest = min(sides).bit_length() - 1
        if math.prod(now) <= 2 * math.prod(sides) or largest < 5:  # a unet_32 is the smallest
            return
        areas = {2**k: math.prod(padded_sides(2**k, 2**k)) for k in range(largest, 4, -1)}
        best = min(areas, key=lambda size: areas[size])
        better = f"unet_{best}" if areas[best] < math.prod(now) else "resnet_9blocks"
        warn(
            f"--netG {self.opt.netG} pads images of {sides[1]} x {sides[0]} pixels to {now[1]} x {now[0]}: "
            f"--netG {better} pads less"
        )

    def discriminator(self, input_nc: int) -> Discriminator:
        opt = self.opt
        net = create_discriminator(DiscriminatorArchitecture.of(opt, input_nc=input_nc), opt.init_type, opt.init_gain)
        sides = self.spec.image_size
        if any(sides) and min(sides) < net.min_size:
            raise ValueError(
                f"--netD {opt.netD} takes images of {net.min_size} pixels or more, not {sides[1]} x {sides[0]}: use "
                "a larger --crop_size, --netD n_layers with a smaller --n_layers_D, or --netD pixel"
            )
        return self.regularized(net)

    def load_net(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Load network ``name``, also another project's; raise ValueError when its architecture needs other flags."""
        net = self.nets[name]
        try:
            net.load_state_dict(foreign_state(state, net))
        except RuntimeError:
            recognize = recognize_generator if name.startswith("G") else recognize_discriminator
            if differences := compare(recognize(state), recognize(net.state_dict())):
                raise ValueError(f"it was made with {describe(differences)}") from None
            raise

    def pool(self, size: int, channels: int) -> ImagePool:
        """Return a history of ``size`` generated images; raise ValueError when images of this run do not fit."""
        if size and not any(self.spec.image_size):
            raise ValueError(
                f"--pool_size {size} needs images of one size: use a --preprocess with crop, or --pool_size 0"
            )
        return ImagePool(size, (channels, *self.spec.image_size))

    def use_tiles(self, tile: int, overlap: int) -> None:
        for net in self.nets.values():
            if isinstance(net, Generator):
                check_tile(tile, overlap, net.size_multiple, net.receptive_field)
        self.tile, self.tile_overlap = tile, overlap

    def run(self, netG: Generator, images: Tensor) -> Tensor:
        """Return ``netG(images)`` for any size: padded to one that it takes, and in tiles if ``use_tiles`` set them."""
        if self.tile:
            return tiled(partial(padded, netG), images.cpu(), self.tile, self.tile_overlap, self.device)
        return padded(netG, images)
