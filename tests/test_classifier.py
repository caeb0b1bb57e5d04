"""The classifier of generated images, on shapes that are easy to tell."""

import math

import pytest
import torch
from torch.testing import assert_close

from util.metrics.classifier import BATCH, STEPS, classify, shares, train_classifier
from util.types import Batch, DataSpec

SPEC = DataSpec((16, 16), 1, 1, ("upright", "flat"))


def bars(num: int, seed: int) -> Batch:
    """Return bars of one pixel, upright or flat, anywhere but at the border."""
    numbers = torch.Generator().manual_seed(seed)
    labels, place = (torch.randint(low, high, (num,), generator=numbers) for low, high in ((0, 2), (5, 11)))
    images = torch.full((num, 1, 16, 16), -1.0)
    images[torch.arange(num), 0, :, place] = 1.0
    return Batch({"image": torch.where(labels[:, None, None, None] == 1, images.mT, images), "label": labels})


@pytest.fixture(scope="module")
def classifier():
    state = torch.get_rng_state()
    trained = train_classifier((bars(BATCH, i) for i in range(STEPS)), SPEC, torch.device("cpu"), seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    return trained


@pytest.mark.slow
def test_shapes_are_told_apart(classifier):
    batch = bars(100, 10_000)
    probabilities = classify(classifier, batch["image"])
    assert (probabilities.argmax(1) == batch["label"]).sum() >= 98
    assert_close(probabilities.sum(1), torch.ones(100))


def test_shares_entropy_and_confidence_are_those_of_the_answers():
    certain = torch.eye(4)[[0, 0, 1, 2]]
    share, entropy, confidence = shares(certain)
    assert share.tolist() == [0.5, 0.25, 0.25, 0.0]
    assert entropy == pytest.approx(1.5)
    assert confidence == 1.0
    assert shares(torch.eye(8)).entropy == pytest.approx(math.log2(8))
    one = shares(torch.tensor([[0.6, 0.4], [0.8, 0.2]]))
    assert one.entropy == 0
    assert one.confidence == pytest.approx(0.7)
