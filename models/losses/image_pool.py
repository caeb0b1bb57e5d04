"""A history of generated images, from which D is shown some instead of the newest."""

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """The history of Shrivastava et al. 2017 (arXiv:1612.07828, Sec. 2.3) by CycleGAN's rule for single images.

    While it fills, all images are kept and passed on. From then on each is, by the toss of a coin, either passed on
    and forgotten, or kept in place of a random older one, which is passed on instead. (Shrivastava et al. take half
    of each batch from the history.) CycleGAN keeps 50 images (Zhu et al. 2017, arXiv:1703.10593, Sec. 4).

    Every query runs the same operations and none waits for the device; the state lies in buffers alone.

    Attributes:
        size: how many images it keeps; 0: none, all are passed on.
        images: buffer, float (size, C, H, W); zeros where there is no image yet.
        count: buffer, int64 (); how many images there are.
    """

    images: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        """Make an empty history for images of ``shape`` (C, H, W)."""
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("count", torch.tensor(0))

    @torch.no_grad()
    def query(self, images: Tensor) -> Tensor:
        """Return as many images, now given or kept before, without their gradient; draws from torch's generator.

        The images of a batch meet different kept ones, none of them of the same batch.

        Args:
            images: float (N, C, H, W), as ``shape`` said.

        Raises:
            ValueError: there are more images than the history can hold.
        """
        if self.size == 0:
            return images.detach()
        assert images.shape[1:] == self.images.shape[1:], (images.shape, self.images.shape)
        num = len(images)
        if num > self.size:
            raise ValueError(
                f"--pool_size {self.size} is less than --batch_size {num}: at least {num}, or 0 for no history"
            )
        slots = torch.arange(self.size, device=images.device)
        is_empty = slots >= self.count
        # Empty slots come first and in their order, so that they fill from the front; then the others, at random.
        rank = torch.where(is_empty, slots - self.size, torch.rand(self.size, device=images.device))
        chosen = rank.argsort()[:num]  # a slot for each image, all different
        is_new = is_empty[chosen]
        is_swapped = ~is_new & (torch.rand(num, device=images.device) < 0.5)

        older = self.images[chosen]  # (N, C, H, W)
        # What is not kept is overwritten with itself, so that no step is unlike another.
        kept = torch.where(_each(is_new | is_swapped), images.to(older), older)
        self.images.index_copy_(0, chosen, kept)
        self.count.add_(num).clamp_(max=self.size)
        return torch.where(_each(is_swapped), older.to(images), images)


def _each(of_image: Tensor) -> Tensor:
    """Return (N,) as (N, 1, 1, 1)."""
    return of_image[:, None, None, None]
