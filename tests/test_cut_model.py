"""CUT and FastCUT: the networks as their authors publish them, the contrastive loss, and that it learns."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, pad
from torch.testing import assert_close

from models.losses import patch_nce
from models.networks.architecture import DiscriminatorArchitecture, GeneratorArchitecture
from models.networks.patch_features import PatchFeatures, random_places
from models.networks.recognize import recognize_discriminator, recognize_generator
from models.networks.sides import BlurDown, BlurUp
from models.networks.translation import create_discriminator, create_generator
from models.step.fast import FastNetworks
from models.step.plan import Speed
from tests.tiny_models import RESNET, create, make_batch, train
from tests.tiny_models import build as build_model
from util.modes import evaluating
from util.seeding import seed_all
from util.types import Batch, DataSpec

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def full_size() -> Any:
    return build_model("cut", DataSpec((256, 256), 3, 3))


# Networks


def weights(*shape: int) -> list[tuple[int, ...]]:
    return [shape, shape[:1]]


def layout(names: dict[str, list[tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    """Return the keys of convolutions, whose shapes come as weight and bias, and of blurs, which have a filter."""
    keys = ("weight", "bias")
    return {
        f"{name}.{'filt' if len(shapes) == 1 else keys[i]}": shape
        for name, shapes in names.items()
        for i, shape in enumerate(shapes)
    }


# The layers of https://github.com/taesungp/contrastive-unpaired-translation, models/networks.py, with its defaults.
BLOCKS = {f"model.{i}.conv_block.{j}": weights(256, 256, 3, 3) for i in range(12, 21) for j in (1, 5)}
KEYS: dict[str, dict[str, list[tuple[int, ...]]]] = {
    "G": {
        "model.1": weights(64, 3, 7, 7),
        "model.4": weights(128, 64, 3, 3),
        "model.7": [(128, 1, 3, 3)],
        "model.8": weights(256, 128, 3, 3),
        "model.11": [(256, 1, 3, 3)],
        **BLOCKS,
        "model.21": [(256, 1, 4, 4)],
        "model.22": weights(128, 256, 3, 3),
        "model.25": [(128, 1, 4, 4)],
        "model.26": weights(64, 128, 3, 3),
        "model.30": weights(3, 64, 7, 7),
    },
    "D": {
        "model.0": weights(64, 3, 4, 4),
        "model.2": [(64, 1, 3, 3)],
        "model.3": weights(128, 64, 4, 4),
        "model.6": [(128, 1, 3, 3)],
        "model.7": weights(256, 128, 4, 4),
        "model.10": [(256, 1, 3, 3)],
        "model.11": weights(512, 256, 4, 4),
        "model.14": weights(1, 512, 4, 4),
    },
    "F": {
        f"mlp_{i}.{j}": weights(256, nc if j == 0 else 256)
        for i, nc in enumerate((3, 128, 256, 256, 256))
        for j in (0, 2)
    },
}
NUM = {"G": 11_378_179, "D": 2_764_737, "F": 560_384}


@pytest.mark.parametrize("name", KEYS)
def test_networks_have_the_known_keys_shapes_and_counts(full_size, name):
    net = full_size.nets[name]
    assert {key: tuple(value.shape) for key, value in net.state_dict().items()} == layout(KEYS[name])
    assert sum(p.numel() for p in net.parameters()) == NUM[name]


def test_initial_weights_are_xaviers_with_a_gain_of_002(full_size):
    first, last = full_size.netG.model[1].weight, full_size.netF.mlp_4[2].weight
    assert_close(float(first.detach().std()), 0.02 * math.sqrt(2 / (49 * (3 + 64))), rtol=0.05, atol=0)
    assert_close(float(last.detach().std()), 0.02 * math.sqrt(2 / 512), rtol=0.05, atol=0)


def test_defaults_are_cuts(full_size):
    opt = full_size.opt
    assert (opt.netG, opt.netD, opt.norm, opt.gan_mode, opt.dropout) == (
        "resnet_9blocks",
        "basic",
        "instance",
        "lsgan",
        False,
    )
    assert (opt.lambda_GAN, opt.lambda_NCE, opt.nce_idt, opt.nce_T, opt.num_patches) == (1, 1, True, 0.07, 256)
    assert (opt.lr, opt.beta1, opt.beta2, opt.netF, opt.flip_equivariance) == (2e-4, 0.5, 0.999, "mlp_sample", False)


def test_blurs_are_binomial_filters():
    """1-2-1 over reflected images, and 1-3-3-1 between zeros over repeated edges, as CUT's layers are written."""
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    down, up = BlurDown(3).double(), BlurUp(3).double()
    row = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    wanted = conv2d(pad(x, [1] * 4, mode="reflect"), row.outer(row).repeat(3, 1, 1, 1), stride=2, groups=3)
    assert_close(down(x), wanted)
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 4
    edged = pad(x, [1] * 4, mode="replicate")
    wanted = conv_transpose2d(edged, row.outer(row).repeat(3, 1, 1, 1), stride=2, padding=2, groups=3)
    assert_close(up(x), wanted[:, :, 1:-1, 1:-1])
    assert_close(up(torch.ones(1, 3, 4, 4).double()), torch.ones(1, 3, 8, 8).double())


def generator(name: str, *facts: Any, **options: Any) -> Any:
    return create_generator(GeneratorArchitecture(name, *facts, **options))


def discriminator(*facts: Any, **options: Any) -> Any:
    return create_discriminator(DiscriminatorArchitecture(*facts, **options))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 72)])
def test_antialiased_networks_keep_the_sides_of_their_kind(height, width):
    images = torch.randn(1, 3, height, width)
    with torch.no_grad():
        fake = generator("resnet_1blocks", 3, 2, 4, upsample="blur", antialias=True)(images)
        logits = [discriminator("basic", 3, 4, antialias=antialias)(images) for antialias in (False, True)]
    assert fake.shape == (1, 2, height, width)
    assert logits[0].shape == logits[1].shape


def test_blurs_are_not_for_unets():
    with pytest.raises(ValueError, match="unet_32 has no antialiased form: use a resnet"):
        generator("unet_32", 3, 3, 4, upsample="blur")
    with pytest.raises(ValueError, match="--no_antialias"):
        generator("unet_32", 3, 3, 4, antialias=True)


def test_blurred_networks_are_recognized():
    for antialias in (False, True):
        for upsample in ("deconv", "resize", "blur"):
            arch = GeneratorArchitecture("resnet_2blocks", 3, 2, 4, "batch", True, upsample, antialias)
            assert recognize_generator(create_generator(arch).state_dict()) == arch
        for layers in (1, 2, 4):
            arch_D = DiscriminatorArchitecture("n_layers", 3, 4, layers, "batch", antialias)
            assert recognize_discriminator(create_discriminator(arch_D).state_dict()) == arch_D


# The contrastive loss


def by_loops(query: torch.Tensor, key: torch.Tensor, temperature: float) -> float:
    """The loss as Sec. 3.2 writes it: for each patch, minus the log of the share of its own key among all."""
    losses = []
    for q, k in zip(query.tolist(), key.tolist(), strict=True):
        for s, patch in enumerate(q):
            scores = [math.exp(sum(a * b for a, b in zip(patch, other, strict=True)) / temperature) for other in k]
            losses.append(-math.log(scores[s] / sum(scores)))
    return sum(losses) / len(losses)


def unit(*shape: int) -> torch.Tensor:
    return nn.functional.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1)


def test_patch_nce_is_what_two_loops_say():
    query, key = unit(3, 5, 4), unit(3, 5, 4)
    assert_close(float(patch_nce(query, key, 0.07)), by_loops(query, key, 0.07))
    together = float(patch_nce(query, key, 0.5, across_batch=True))
    assert_close(together, by_loops(query.reshape(1, 15, 4), key.reshape(1, 15, 4), 0.5))
    assert together > float(patch_nce(query, key, 0.5))  # there are more to be told apart


def test_no_gradient_flows_into_the_keys():
    query, key = unit(1, 5, 4).requires_grad_(), unit(1, 5, 4).requires_grad_()
    patch_nce(query, key, 0.07).backward()
    assert query.grad is not None and query.grad.abs().sum() > 0
    assert key.grad is None


def test_features_are_those_of_their_places_scaled_to_one():
    features = [torch.randn(2, 3, 4, 5), torch.randn(2, 6, 2, 2)]
    places = [torch.tensor([7, 0, 19]), torch.tensor([3])]
    net = PatchFeatures([3, 6], width=0)
    first, second = net(features, places)
    wanted = torch.stack([features[0][:, :, 1, 2], features[0][:, :, 0, 0], features[0][:, :, 3, 4]], 1)
    assert_close(first, wanted / wanted.norm(dim=2, keepdim=True))
    assert second.shape == (2, 1, 6)
    through = PatchFeatures([3, 6], width=8)
    assert_close(through(features, places)[0].norm(dim=2), torch.ones(2, 3))


def test_places_are_different_and_mirrored_where_images_are():
    features = [torch.arange(12.0).reshape(1, 1, 3, 4), torch.zeros(1, 1, 2, 2)]
    places, own = random_places(features, 5)
    assert [len(set(place.tolist())) for place in places] == [5, 4]
    assert own is places
    for turned in (False, True):
        torch.manual_seed(2)
        places, own = random_places(features, 5, torch.tensor(turned))
        image = features[0].flip(3) if turned else features[0]
        assert_close(image.flatten()[own[0]], features[0].flatten()[places[0]])


def test_the_places_follow_from_the_seed():
    draw = []
    for seed in (1, 1, 2):
        seed_all(0, seed)
        draw.append(random_places([torch.zeros(1, 1, 9, 9)], 40)[0][0])
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])


# The model


def test_losses_by_hand():
    """With all places compared, whose order does not matter, nothing is random."""
    model, batch = create("cut", num_patches=10**6), make_batch("cut", num=1)
    A, B, opt = batch["A"], batch["B"], model.opt

    def nce(real: torch.Tensor, fake: torch.Tensor) -> float:
        found = []
        for q, k, name in zip(*(model.netG(x, opt.nce_layers) for x in (fake, real)), ("mlp_0", "mlp_1"), strict=True):
            ends = [getattr(model.netF, name)(x.flatten(2).transpose(1, 2)) for x in (q, k)]
            query, key = (x / (x.norm(dim=2, keepdim=True) + 1e-7) for x in ends)
            found.append(by_loops(query, key, opt.nce_T))
        return sum(found) / len(found)

    with torch.no_grad():
        fake_B, idt_B = model.netG(A), model.netG(B)
        expected = {
            "D_real": (model.netD(B).sub(1).square().mean(), 0.5),
            "D_fake": (model.netD(fake_B).square().mean(), 0.5),
            "G_GAN": (model.netD(fake_B).sub(1).square().mean(), 1.0),
            "NCE": (torch.tensor(nce(A, fake_B)), 0.5),
            "NCE_Y": (torch.tensor(nce(B, idt_B)), 0.5),
        }
        model.draw_fakes(batch)
        terms = model.loss_D(batch)
    terms |= model.loss_G(batch)
    assert terms.keys() == expected.keys()
    for name, (value, weight) in expected.items():
        term = terms[name] if isinstance(terms[name], tuple) else (terms[name], 1.0)
        assert_close(term[0].detach(), value, msg=name)
        assert term[1] == weight


def test_gradients_reach_f_and_the_whole_of_g():
    model, batch = create("cut"), make_batch("cut")
    model.optimize_parameters(batch, 1)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.any() for name, p in model.named_parameters() if name.endswith("weight"))


def test_fastcut_turns_half_of_the_batches_over():
    model = create("cut fast")
    seen = []
    for step in range(1, 41):
        batch = make_batch("cut fast", seed=step)
        seed_all(0, step)
        with torch.no_grad():
            model.draw_fakes(batch)
            wanted = model.translate(batch["A"].flip(3) if batch["is_mirrored"] else batch["A"])
        assert_close(batch["fake_B"], wanted)
        assert "idt_B" not in batch
        seen.append(bool(batch["is_mirrored"]))
    assert 10 < sum(seen) < 30


def test_features_without_a_network_of_their_own():
    model = create("cut", netF="sample")
    assert not list(model.netF.parameters())
    losses = train(model, "cut", range(1, 3))
    assert all(loss.isfinite() for step in losses for loss in step.values())


@pytest.mark.parametrize("netF", ["mlp_sample", "sample"])
def test_low_precision_changes_little(netF):
    plain, fast = create("cut", netF=netF), create("cut", netF=netF)
    networks = FastNetworks(fast, Speed(torch.bfloat16, channels_last=True))
    seed_all(1)
    expected = plain.optimize_parameters(make_batch("cut"), 1)
    seed_all(1)
    with networks.in_use():
        losses = fast.optimize_parameters(make_batch("cut"), 1)
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        assert_close(loss, expected[name], rtol=0.05, atol=0.02, msg=name)


@pytest.mark.parametrize(
    ("options", "nc", "message"),
    [
        ({}, (1, 3), "A has 1 channels and B 3: set --input_nc and --output_nc"),
        ({"netG": "unet_32", "antialias": False, "antialias_up": False}, (3, 3), "features of a resnet, such as"),
        ({"nce_layers": (0, 4, 99)}, (3, 3), "--nce_layers 0,4,99: name some of this generator's layers, 0 to "),
        ({"nce_layers": ()}, (3, 3), "--nce_layers : name some"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_remedy(options, nc, message):
    with pytest.raises(ValueError, match=message):
        build_model("cut", DataSpec((32, 32), *nc), **{"ngf": 4, "ndf": 4} | options)


def test_names_of_cut_ask_for_the_networks_of_cycle_gan():
    """--no_antialias --no_antialias_up."""
    plain = build_model("cut", DataSpec((32, 32), 3, 3), ngf=4, ndf=4, antialias=False, antialias_up=False)
    cycle_gan = build_model("cycle_gan", DataSpec((32, 32), 3, 3), ngf=4, ndf=4, pool_size=0)
    for net, other in ((plain.netG, cycle_gan.netG_A), (plain.netD, cycle_gan.netD_A)):
        assert list(net.state_dict()) == list(other.state_dict())


DARK, BRIGHT = {"A": -0.9, "B": -0.3}, {"A": 0.1, "B": 0.8}


def two_colours(num: int) -> Batch:
    """Random blocks in the two colours of A, and others in those of B."""
    batch = Batch()
    for key in "AB":
        blocks = torch.rand(num, 1, 4, 4).round().repeat_interleave(4, 2).repeat_interleave(4, 3)
        batch[key] = (DARK[key] + (BRIGHT[key] - DARK[key]) * blocks).repeat(1, 3, 1, 1)
    return batch


@pytest.mark.parametrize("mode", ["CUT", "FastCUT"])
def test_cut_learns_two_colours(mode):
    """The dark and the bright of A become those of B, each in its place."""
    options = {"nce_idt": mode == "CUT", "flip_equivariance": mode == "FastCUT", "nce_layers": (0, 4, 8)}
    small = RESNET | {"ngf": 8, "ndf": 8, "netF_nc": 16, "num_patches": 64, "lr": 2e-3, "init_gain": 1.0}
    model = build_model("cut", DataSpec((16, 16), 3, 3), **small | options)
    for step in range(1, 101):
        seed_all(0, step)
        model.optimize_parameters(two_colours(2), step)
    seed_all(1)
    batch = two_colours(20)
    with evaluating(model):
        fake_B = model.translate(batch["A"])
    is_bright = batch["A"] > -0.4
    assert_close(float(fake_B[is_bright].mean()), BRIGHT["B"], rtol=0, atol=0.3)
    assert_close(float(fake_B[~is_bright].mean()), DARK["B"], rtol=0, atol=0.45)
