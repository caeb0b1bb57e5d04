"""PatchNCE, the contrastive loss between the patches of two images (Park et al. 2020, arXiv:2007.15651)."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def patch_nce(query: Tensor, key: Tensor, temperature: float, across_batch: bool = False) -> Tensor:
    """Return the mean over all patches of the cross-entropy of finding a patch's own key among all keys (Eq. 3).

    Args:
        query: features of the generated images, of unit length, (N, S, C).
        key: features of the input images at the same places, likewise; no gradient flows into them.
        temperature: what similarities are divided by.
        across_batch: whether the patches of all images are told apart; else those of each image by itself.
    """
    assert query.shape == key.shape, (query.shape, key.shape)
    if across_batch:
        query, key = query.flatten(0, 1)[None], key.flatten(0, 1)[None]
    logits = query @ key.detach().transpose(1, 2) / temperature  # (N, S, S), the right keys on the diagonal
    num, patches = logits.shape[:2]
    return cross_entropy(logits.flatten(0, 1), torch.arange(patches, device=query.device).repeat(num))
