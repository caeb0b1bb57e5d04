"""Warnings that say what to try."""

import pytest
import torch

from models.losses.adversarial import OBJECTIVES
from tests.tiny_models import create
from util.training.advice import AGAIN, D_WON_REPORTS, GRID_LOOKS, NEVER_DIVERSE_LOOKS, Advice, diversity
from util.types import Batch, Grid


def pictures(num, spread, seed=0):
    return spread * torch.randn(num, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def advice(is_bounded=True):
    return Advice(Batch({"image": pictures(32, 0.3)}), is_bounded)


def said(watch, losses, times):
    return [text for text in (watch.losses(losses) for _ in range(times)) if text]


def test_d_has_won_when_its_loss_is_near_0_for_long():
    watch = advice()
    won = {"D_real": 0.02, "D_fake": 0.03, "G": 8.0}
    assert said(watch, won, D_WON_REPORTS - 1) == []
    (text,) = said(watch, won, AGAIN)
    assert text.startswith("warning: D has won")
    assert "--diffaugment" in text
    assert len(said(watch, won, AGAIN)) == 1  # but once in a while
    assert said(watch, {"D_real": 0.7, "D_fake": 0.7, "G": 0.7}, 2 * AGAIN) == []


def test_a_critic_near_0_has_not_won():
    assert said(advice(is_bounded=False), {"D_real": 0.01, "D_fake": 0.0}, 3 * D_WON_REPORTS) == []


def test_which_losses_of_d_say_that_it_has_won():
    assert [mode for mode in OBJECTIVES if not create("gan", gan_mode=mode).is_bounded] == ["wgan", "wgangp"]
    assert not create("template").is_bounded


def looks(watch, spreads):
    return [watch.samples({"fake": Grid(pictures(16, s, i), 8)}) for i, s in enumerate(spreads)]


def test_g_repeats_itself_when_its_samples_become_alike():
    texts = looks(advice(), [0.01, 0.2, 0.3, 0.25, 0.05, 0.04])
    assert [bool(t) for t in texts] == [False] * 5 + [True]
    assert texts[-1].startswith("warning: G repeats itself: its samples differ by 13 % of what real images do")
    assert not any(looks(advice(), [0.01, 0.05, 0.1, 0.2, 0.3]))  # it has only begun
    assert any(looks(advice(), [0.01] * (NEVER_DIVERSE_LOOKS + 3)))  # it never begins
    assert advice().samples({"fake_B": Grid(pictures(16, 0.0), 8)}) == ""


def test_a_grid_that_stays_is_told_of_once():
    real = torch.nn.functional.avg_pool2d(pictures(32, 1.0), 3, 1, 1)
    board = 1 - 2 * ((torch.arange(8)[:, None] + torch.arange(8)) % 2)
    watch = Advice(Batch({"image": real}), is_bounded=True)

    def texts(images, times):
        return [text for text in (watch.patterns({"fake": Grid(images, 8)}) for _ in range(times)) if text]

    assert texts(real, 3 * GRID_LOOKS) == []
    assert texts(real + 0.5 * board, GRID_LOOKS - 1) == []  # as of a G that has only begun
    assert texts(real, 1) == []
    (text,) = texts(real + 0.5 * board, AGAIN)
    assert text.startswith("warning: the samples show a grid: ") and "--upsample resize" in text
    assert watch.patterns({"fake_B": Grid(real, 8)}) == ""
    assert Advice(Batch({"A": real}), is_bounded=True).patterns({"fake": Grid(real, 8)}) == ""


def test_one_image_a_class_is_no_diversity():
    images = torch.tensor([-1.0, -1.0, 1.0, 1.0])[:, None, None, None].expand(4, 1, 2, 2)
    assert diversity(images, torch.tensor([0, 0, 1, 1])) == 0
    assert diversity(images, None) == pytest.approx(2 * 2 / 3)  # two thirds of the pairs are 2 apart in every pixel
