"""What every model that draws from noise must do: any number and mix of labels, each image by itself."""

import pytest
import torch
from torch.testing import assert_close

from models import find_model
from models.base_model import COLUMNS
from models.noise import NoiseModel
from tests.tiny_models import CASES, assert_images, assert_same, create, train
from util.modes import evaluating
from util.types import Batch


def noise_models() -> list[str]:
    return [case for case in CASES if issubclass(find_model(case.split()[0]), NoiseModel)]


@pytest.fixture(params=noise_models())
def trained(request):
    """A noise model after a few steps, so that batch norm's statistics are not the initial ones."""
    model = create(request.param)
    train(model, request.param, range(1, 6))
    return model


def labels_of(model: NoiseModel, *labels: int) -> torch.Tensor | None:
    return torch.tensor(labels) % model.spec.num_classes if model.spec.num_classes else None


def test_sampling_models_are_noise_models():
    assert all(case in noise_models() for case in CASES if hasattr(find_model(case.split()[0]), "sample"))


@pytest.mark.parametrize("labels", [(0,), (1,), (2, 2, 2), (2, 0, 1, 0, 2)], ids=str)
def test_any_number_and_mix_of_labels_can_be_drawn(trained, labels):
    with evaluating(trained):
        images = trained.sample(trained.latents(len(labels)), labels_of(trained, *labels))
    assert len(images) == len(labels)
    assert_images(images, trained.spec)


def test_an_image_does_not_depend_on_what_else_is_in_its_batch(trained):
    z = trained.latents(6, seed=3)
    labels = labels_of(trained, 0, 1, 2, 1, 1, 0)
    with evaluating(trained):
        together = trained.sample(z, labels)
        alone = [trained.sample(z[i : i + 1], None if labels is None else labels[i : i + 1]) for i in range(6)]
        among_others = trained.sample(torch.cat([z[:1], -z]), labels_of(trained, 0, *[2] * 6))
    difference = float(together.std(0).max())  # between images: small in a network that has learnt little
    assert difference > 1e-5
    assert_close(torch.cat(alone), together, rtol=0, atol=difference / 1000)
    assert_close(among_others[:1], together[:1], rtol=0, atol=difference / 1000)


def test_a_latent_vector_follows_from_seed_and_place_alone(trained):
    z = trained.latents(5, seed=3)
    assert z.shape == (5, trained.opt.nz)
    assert_same(trained.latents(3, seed=3), z[:3])
    assert not torch.equal(trained.latents(5, seed=4), z)
    assert len({tuple(row.tolist()) for row in z}) == 5
    state = torch.get_rng_state()
    trained.latents(2)
    assert torch.equal(torch.get_rng_state(), state)


def test_latent_vectors_are_standard_normal(trained):
    z = torch.cat([trained.latents(500, seed).flatten() for seed in range(3)])
    assert abs(z.mean()) < 0.05
    assert abs(z.std() - 1) < 0.05


def test_samples_on_the_training_page_stay_those_of_the_same_noise(trained):
    other = Batch({"image": torch.zeros(1, trained.spec.output_nc, *trained.spec.image_size)})
    with evaluating(trained):
        first, again = trained(Batch()), trained(other)
    assert_same(first, again)
    classes = trained.spec.num_classes
    assert len(first["fake"]) == (classes or COLUMNS) * COLUMNS


@pytest.mark.parametrize("case", noise_models())
def test_micro_batches_report_the_same_terms(case):
    halves = train(create(case, accumulate=2), case, range(1, 4))
    whole = train(create(case), case, range(1, 4))
    assert [list(losses) for losses in halves] == [list(losses) for losses in whole]
    assert all(loss.isfinite() for losses in halves for loss in losses.values())
