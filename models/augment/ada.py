"""Adaptive augmentation (Karras et al. 2020, arXiv:2006.06676): D sees images changed as much as it overfits."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from util import distributed

INTERVAL = 4  # batches from one step of p to the next (Sec. 3.1)
SHIFT, SCALE, BRIGHTNESS, CONTRAST, SATURATION = 0.125, 0.2, 0.2, 0.5, 1.0  # of Appendix B


class AdaptiveAugment(nn.Module):
    """Changes each image in each way of the paper with probability p, which follows the signs of D's logits.

    These are pixel blitting, geometry and colour (Appendix B, Algorithm 1), in its order: all moves become one affine
    grid, all colours one matrix. It leaves out filtering and corruption, and the wavelet around the resampling, which
    is bilinear. It has no second gradient: penalties are taken at the changed images.

    Nothing here waits for the device; the state lies in buffers alone.

    Attributes:
        p: buffer, float (), from 0 to 1.
        signs: buffer, float (); the sum of signs since p's last step.
        count: buffer, float (); how many they are.
    """

    p: Tensor
    signs: Tensor
    count: Tensor

    def __init__(self, target: float, batch_size: int, num_images: int) -> None:
        """Begin with p = 0.

        Args:
            target: mean sign above which p rises, and below which it falls.
            batch_size: images of a step, of each process.
            num_images: images within which p can go from 0 to 1.
        """
        super().__init__()
        self.target, self.batch_size, self.num_images = target, batch_size, num_images
        for name in ("p", "signs", "count"):
            self.register_buffer(name, torch.tensor(0.0))

    @torch.no_grad()
    def steer(self, real_logits: Tensor) -> None:
        """Take note of D's logits on real images, (N, ...), and move p when INTERVAL batches are there (Sec. 3.1)."""
        sign, world = real_logits.sign().mean(), distributed.world()
        distributed.average([sign])
        num = len(real_logits) * world
        self.signs += sign * num
        self.count += num
        is_due = self.count >= INTERVAL * self.batch_size * world
        step = (self.signs / self.count - self.target).sign() * self.count / self.num_images
        self.p += torch.where(is_due, step, 0)
        self.p.clamp_(0, 1)
        self.signs.masked_fill_(is_due, 0)
        self.count.masked_fill_(is_due, 0)

    def forward(self, images: Tensor) -> Tensor:
        """Return ``images`` (N, C, H, W), each changed at random, gradients kept.

        Raises:
            ValueError: the resampling cannot be repeated exactly, and is to be.
        """
        check_repeatable(images.device)
        chance = Chance(images, self.p)
        height, width = images.shape[-2:]
        where = moves(chance, height, width)  # (N, 3, 3)
        unit = ((1, height / width, 2 / width), (width / height, 1, 2 / height))  # affine_grid counts in half sides
        rows = [torch.stack([where[:, i, j] * unit[i][j] for j in range(3)], -1) for i in range(2)]
        grid = affine_grid(torch.stack(rows, -2), [*images.shape], align_corners=False)
        images = grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        return colours(chance, images)


def check_repeatable(device: torch.device) -> None:
    """Raise ValueError where torch.use_deterministic_algorithms would refuse the gradient of the resampling."""
    if device.type == "cuda" and torch.are_deterministic_algorithms_enabled():
        raise ValueError(
            "--augment ada: the gradient of its resampling is not repeatable on a GPU: leave out --deterministic, or "
            "use --diffaugment color,translation"
        )


class Chance:
    """Draws numbers for each image of a batch, which are without effect except with probability p."""

    def __init__(self, images: Tensor, p: Tensor) -> None:
        self.num, self.device, self.p = len(images), images.device, p

    def uniform(self) -> Tensor:
        """Return numbers in [0, 1), (N,)."""
        return torch.rand(self.num, device=self.device)

    def normal(self) -> Tensor:
        return torch.randn(self.num, device=self.device)

    def angle(self) -> Tensor:
        return (2 * self.uniform() - 1) * math.pi

    def coin(self) -> Tensor:
        return self.uniform().mul(2).floor()

    def perhaps(self, values: Tensor, neutral: float = 0.0, p: Tensor | None = None) -> Tensor:
        """Return ``values`` (N,) with probability ``p``, else ``neutral``."""
        return torch.where(self.uniform() < (self.p if p is None else p), values, neutral)


def moves(chance: Chance, height: int, width: int) -> Tensor:
    """Return where pixels come from, matrices (N, 3, 3) of x, y, 1 in pixels from the centre."""
    one = torch.ones(chance.num, device=chance.device)
    turns = 4 if height == width else 2  # a quarter of a turn would not fit into other sides
    p_rotation = 1 - (1 - chance.p).sqrt()  # of each of two rotations, so that either is there with p
    flip = chance.perhaps(1 - 2 * chance.coin(), 1)
    turn = chance.perhaps(chance.uniform().mul(turns).floor() * (2 * math.pi / turns))
    is_blit = chance.perhaps(one)
    across, down = ((((2 * chance.uniform() - 1) * SHIFT * side).round() * is_blit) for side in (width, height))
    size = chance.perhaps(torch.exp2(SCALE * chance.normal()), 1)
    first = chance.perhaps(chance.angle(), 0, p_rotation)
    stretch = chance.perhaps(torch.exp2(SCALE * chance.normal()), 1)
    second = chance.perhaps(chance.angle(), 0, p_rotation)
    is_moved = chance.perhaps(one)
    right, up = (chance.normal() * SHIFT * side * is_moved for side in (width, height))
    return (
        affine(x=flip)
        @ rotation(turn)
        @ affine(one, one, across, down)
        @ affine(size, size)
        @ rotation(first)
        @ affine(stretch, 1 / stretch)
        @ rotation(second)
        @ affine(one, one, right, up)
    )


def affine(x: Tensor, y: Tensor | None = None, right: Tensor | None = None, down: Tensor | None = None) -> Tensor:
    """Return matrices (N, 3, 3) that scale by ``x`` and ``y``, then shift; what is not given changes nothing."""
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    rows = [
        [x, zero, zero if right is None else right],
        [zero, one if y is None else y, zero if down is None else down],
        [zero, zero, one],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def rotation(angle: Tensor) -> Tensor:
    """Return matrices (N, 3, 3) that rotate around the centre."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = [[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def colours(chance: Chance, images: Tensor) -> Tensor:
    """Change brightness and contrast, of RGB images also luma, hue and saturation: one matrix and one shift for each.

    In any other number of channels there is no hue: each channel is its own grey.
    """
    brightness = chance.perhaps(BRIGHTNESS * chance.normal())
    contrast = chance.perhaps(torch.exp2(CONTRAST * chance.normal()), 1)
    is_inverted = chance.perhaps(chance.coin())
    hue = chance.perhaps(chance.angle())
    saturation = chance.perhaps(torch.exp2(SATURATION * chance.normal()), 1)
    shift = brightness * contrast
    if images.shape[1] != 3:
        sign = 1 - 2 * is_inverted  # on the grey axis this is what mirroring at its normal plane does
        return images * (sign * contrast)[:, None, None, None] + (sign * shift)[:, None, None, None]
    grey = images.new_full((3, 3), 1 / 3)  # the projection on the grey axis
    eye = torch.eye(3, device=images.device)
    cross = (eye.roll(2, 1) - eye.roll(1, 1)) / math.sqrt(3)  # the cross product with the grey axis
    along, cos, sin = (v[:, None, None] for v in (1 - 2 * is_inverted, hue.cos() * saturation, hue.sin() * saturation))
    # Along the axis mirrored or not; around it turned by the hue and scaled by the saturation.
    matrix = (along * grey + cos * (eye - grey) + sin * cross) * contrast[:, None, None]
    changed = torch.einsum("nij,njhw->nihw", matrix, images)
    return changed + (shift * (1 - 2 * is_inverted))[:, None, None, None]
