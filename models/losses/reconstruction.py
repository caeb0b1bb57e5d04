"""Terms of a variational autoencoder's loss."""

from torch import Tensor


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return KL(N(mean, exp(logvar)) || N(0, 1)), summed over the dimensions and averaged over the batch.

    Kingma and Welling 2013, arXiv:1312.6114, Appendix B.

    Args:
        mean: (N, nz).
        logvar: logarithm of the variance, (N, nz).
    """
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1).mean()


def squared_error(images: Tensor, targets: Tensor) -> Tensor:
    """Return half the squared distance of ``images`` (N, C, H, W) to ``targets``, averaged over the batch.

    It is minus the log likelihood of a normal distribution of variance 1, without its constant (arXiv:1312.6114, C.2).
    """
    return 0.5 * (images - targets).square().flatten(1).sum(1).mean()
