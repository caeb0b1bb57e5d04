"""Architectures against their descriptions: layer by layer, and by numbers of parameters worked out by hand."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from models.networks.dcgan import SIZES, ConvDiscriminator, ConvGenerator
from models.networks.dropout import Dropout
from models.networks.init import init_normal
from models.networks.labels import LabelCode
from models.networks.mlp import MLPDiscriminator, MLPGenerator
from util.training.summary import num_parameters

torch.set_num_threads(1)

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def layers(net: nn.Module, *kinds: type) -> list[Any]:
    return [m for m in net.modules() if isinstance(m, kinds)]


def kinds(net: nn.Module) -> list[str]:
    return [type(m).__name__ for m in net.modules() if not any(m.children())]


def shapes(net: nn.Module, kind: type, *inputs: torch.Tensor) -> list[tuple[int, ...]]:
    """Return the output shapes, without the batch, of the layers of ``kind`` in the order they run."""
    seen: list[tuple[int, ...]] = []
    hooks = [m.register_forward_hook(lambda _m, _i, out: seen.append(tuple(out.shape[1:]))) for m in layers(net, kind)]
    net.eval()
    with torch.no_grad():
        net(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


# The conditional GAN on hand gestures at 128 pixels


@pytest.fixture(scope="module")
def gesture_G():
    torch.manual_seed(0)
    return ConvGenerator(100, 3, 128, 64, 0.8, LabelCode(3, "embedding", 100))


@pytest.fixture(scope="module")
def gesture_D():
    torch.manual_seed(0)
    return ConvDiscriminator(3, 128, 64, 0.8, 0.4, LabelCode(3, "embedding", 100))


def test_gesture_generator_grows_from_4_to_128_pixels(gesture_G):
    z, labels = torch.randn(2, 100), torch.tensor([0, 2])
    assert shapes(gesture_G, nn.Linear, z, labels) == [(512 * 4 * 4,), (4 * 4,)]
    grown = shapes(gesture_G, nn.ConvTranspose2d, z, labels)
    assert grown == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (64, 64, 64), (3, 128, 128)]
    first = layers(gesture_G, nn.ConvTranspose2d)[0]
    assert first.in_channels == 513


def test_gesture_generator_has_the_layers_of_its_description(gesture_G):
    z_part = ["Linear", "LeakyReLU", "Unflatten"]
    label_part = ["LabelCode", "Linear", "Unflatten"]
    assert kinds(gesture_G) == [
        *z_part,
        *label_part,
        *["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 4,
        *["ConvTranspose2d", "Tanh"],
    ]
    for conv in layers(gesture_G, nn.ConvTranspose2d):
        assert (conv.kernel_size, conv.stride, conv.padding, conv.bias) == ((4, 4), (2, 2), (1, 1), None)
    assert [m.negative_slope for m in layers(gesture_G, nn.LeakyReLU)] == [0.2]


def test_gesture_generator_has_as_many_parameters_as_worked_out_by_hand(gesture_G):
    linear = (100 + 1) * 512 * 4 * 4
    label = 3 * 100 + (100 + 1) * 4 * 4
    convolutions = 4 * 4 * (513 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    norms = 2 * (512 + 256 + 128 + 64)
    assert num_parameters(gesture_G) == linear + label + convolutions + norms == 7_789_308


def test_gesture_discriminator_shrinks_to_3_x_3(gesture_D):
    image, labels = torch.randn(2, 3, 128, 128), torch.tensor([0, 2])
    shrunk = shapes(gesture_D, nn.Conv2d, image, labels)
    assert shrunk == [(64, 64, 64), (128, 22, 22), (256, 8, 8), (512, 3, 3)]
    assert shapes(gesture_D, nn.Linear, image, labels) == [(3 * 128 * 128,), (1,)]
    assert layers(gesture_D, nn.Conv2d)[0].in_channels == 6
    assert layers(gesture_D, nn.Linear)[-1].in_features == 4608


def test_gesture_discriminator_has_the_layers_of_its_description(gesture_D):
    assert kinds(gesture_D) == [
        *["LabelCode", "Linear", "Unflatten"],
        *["Conv2d", "LeakyReLU"],
        *["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3,
        *["Flatten", "Dropout", "Linear"],
    ]
    convs = [(c.kernel_size, c.stride, c.padding) for c in layers(gesture_D, nn.Conv2d)]
    assert convs == [((4, 4), (2, 2), (1, 1)), *[((4, 4), (3, 3), (2, 2))] * 3]
    assert {m.negative_slope for m in layers(gesture_D, nn.LeakyReLU)} == {0.2}
    assert [m.p for m in layers(gesture_D, nn.Dropout)] == [0.4]


def test_gesture_discriminator_has_as_many_parameters_as_worked_out_by_hand(gesture_D):
    label = 3 * 100 + (100 + 1) * 3 * 128 * 128
    convolutions = 4 * 4 * (6 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    norms = 2 * (128 + 256 + 512)
    linear = 4608 + 1
    assert num_parameters(gesture_D) == label + convolutions + norms + linear == 7_729_709


def test_gesture_networks_have_the_batch_norm_of_the_source(gesture_G, gesture_D):
    for norm in layers(gesture_G, *NORMS) + layers(gesture_D, *NORMS):
        assert (norm.eps, norm.momentum) == (0.8, 0.1)


def test_gesture_networks_start_from_the_weights_of_the_source(gesture_G, gesture_D):
    for net in (gesture_G, gesture_D):
        for conv in layers(net, *CONVOLUTIONS):
            weight = conv.weight.double()
            bound = 4 / weight.numel() ** 0.5  # four standard errors
            assert abs(weight.mean()) < 0.02 * bound
            assert abs(weight.std() / 0.02 - 1) < bound
        scales = torch.cat([norm.weight for norm in layers(net, *NORMS)]).double()
        assert abs(scales.mean() - 1) < 4 * 0.02 / len(scales) ** 0.5
        assert abs(scales.std() / 0.02 - 1) < 4 / len(scales) ** 0.5
        assert all((norm.bias == 0).all() for norm in layers(net, *NORMS))


# Convolutions at every size


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_convolutions_make_and_take_every_size(size, channels):
    G = ConvGenerator(5, channels, size, 2, 0.8, LabelCode(3, "onehot", 0))
    D = ConvDiscriminator(channels, size, 2, 0.8, 0.4, LabelCode(3, "onehot", 0))
    labels = torch.tensor([0, 2])
    images = G(torch.randn(2, 5), labels)
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    assert D(images, labels).shape == (2, 1)


@pytest.mark.parametrize(
    ("size", "widths"),
    [
        (32, [8 + 1, 2, 1, 3]),
        (64, [8 + 1, 4, 2, 1, 3]),
        (128, [8 + 1, 8, 4, 2, 1, 3]),
        (256, [8 + 1, 8, 8, 4, 2, 1, 3]),
    ],
)
def test_the_last_hidden_layer_is_as_wide_at_every_size(size, widths):
    G = ConvGenerator(5, 3, size, 1, 0.8, LabelCode(3, "onehot", 0))
    convs = layers(G, nn.ConvTranspose2d)
    assert [convs[0].in_channels, *(c.out_channels for c in convs)] == widths


@pytest.mark.parametrize(("size", "sides"), [(32, [16, 6, 3, 2]), (64, [32, 11, 4, 2]), (256, [128, 43, 15, 6])])
def test_the_discriminator_divides_by_two_then_three_times_by_three(size, sides):
    D = ConvDiscriminator(1, size, 1, 0.8, 0.0)
    assert [s[-1] for s in shapes(D, nn.Conv2d, torch.zeros(1, 1, size, size))] == sides
    assert layers(D, nn.Linear)[-1].in_features == 8 * sides[-1] ** 2


def test_a_size_that_convolutions_cannot_make_is_refused():
    for size in (28, 48, 16, 512):
        with pytest.raises(AssertionError, match=str(size)):
            ConvGenerator(5, 3, size, 2, 0.8)
        with pytest.raises(AssertionError, match=str(size)):
            ConvDiscriminator(3, size, 2, 0.8, 0.0)


# Linear layers, for MNIST


def widths(net: nn.Module) -> list[int]:
    linear = layers(net, nn.Linear)
    return [linear[0].in_features, *(m.out_features for m in linear)]


def test_mlp_generator_of_the_embedding_variant():
    G = MLPGenerator(100, (1, 28, 28), (128, 256, 512, 1024), 0.8, LabelCode(10, "embedding", 10))
    assert widths(G) == [110, 128, 256, 512, 1024, 784]
    assert kinds(G) == [
        "LabelCode",
        *["Linear", "LeakyReLU"],
        *["Linear", "BatchNorm1d", "LeakyReLU"] * 3,
        *["Linear", "Tanh", "Unflatten"],
    ]
    assert [m.num_features for m in layers(G, nn.BatchNorm1d)] == [256, 512, 1024]
    assert {(m.eps, m.momentum) for m in layers(G, nn.BatchNorm1d)} == {(0.8, 0.1)}
    assert {m.negative_slope for m in layers(G, nn.LeakyReLU)} == {0.2}
    linear = 111 * 128 + 129 * 256 + 257 * 512 + 513 * 1024 + 1025 * 784
    assert num_parameters(G) == 10 * 10 + linear + 2 * (256 + 512 + 1024) == 1_511_412
    assert G(torch.randn(4, 100), torch.tensor([0, 9, 9, 3])).shape == (4, 1, 28, 28)


def test_mlp_discriminator_of_the_embedding_variant():
    D = MLPDiscriminator((1, 28, 28), (512, 512, 512), 0.4, LabelCode(10, "embedding", 10))
    assert widths(D) == [794, 512, 512, 512, 1]
    assert kinds(D) == [
        "LabelCode",
        *["Linear", "LeakyReLU"],  # hidden layer 1
        *["Linear", "LeakyReLU", "Dropout"],  # 2
        *["Linear", "LeakyReLU", "Dropout"],  # 3
        "Linear",
    ]
    assert {m.p for m in layers(D, nn.Dropout)} == {0.4}
    assert num_parameters(D) == 10 * 10 + 795 * 512 + 2 * 513 * 512 + 513 == 932_965
    assert D(torch.randn(4, 1, 28, 28), torch.tensor([0, 9, 9, 3])).shape == (4, 1)


def test_mlps_of_the_one_hot_variant():
    G = MLPGenerator(100, (1, 28, 28), (128, 256, 512), 0.8, LabelCode(10, "onehot", 0))
    D = MLPDiscriminator((1, 28, 28), (512, 256), 0.4, LabelCode(10, "onehot", 0))
    assert widths(G) == [110, 128, 256, 512, 784]
    assert widths(D) == [794, 512, 256, 1]
    assert num_parameters(G) == 111 * 128 + 129 * 256 + 257 * 512 + 513 * 784 + 2 * (256 + 512)
    assert num_parameters(D) == 795 * 512 + 513 * 256 + 257


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 12)], ids=str)
def test_mlps_make_and_take_any_shape_without_labels_too(shape):
    G, D = MLPGenerator(7, shape, (8, 6), 1e-5), MLPDiscriminator(shape, (6, 8), 0.0)
    images = G(torch.randn(3, 7))
    assert images.shape == (3, *shape)
    assert images.abs().max() <= 1
    assert D(images).shape == (3, 1)


# Labels


def test_a_one_hot_code_has_neither_parameters_nor_state():
    code = LabelCode(4, "onehot", 100)
    assert code.width == 4
    assert num_parameters(code) == 0
    assert code.state_dict() == {}
    assert_close(code(torch.tensor([2, 0, 2])), torch.eye(4)[[2, 0, 2]], rtol=0, atol=0)


def test_an_embedding_is_learned_and_as_wide_as_asked_for():
    torch.manual_seed(0)
    code = LabelCode(200, "embedding", 50)
    assert code.width == 50
    assert num_parameters(code) == 200 * 50
    assert abs(code.weight.std() - 1) < 0.04  # N(0, 1), as nn.Embedding
    labels = torch.tensor([3, 3, 1])
    vectors = code(labels)
    assert_close(vectors, code.weight[labels], rtol=0, atol=0)
    (grad,) = torch.autograd.grad(vectors.sum(), code.weight)
    assert grad.nonzero()[:, 0].unique().tolist() == [1, 3]


@pytest.mark.parametrize("kind", ["embedding", "onehot"])
def test_the_label_makes_a_difference(kind):
    torch.manual_seed(0)
    z, labels, others = torch.randn(3, 5), torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
    image = torch.randn(3, 1, 32, 32)
    for G in (
        ConvGenerator(5, 1, 32, 2, 0.8, LabelCode(3, kind, 4)),
        MLPGenerator(5, (1, 32, 32), (8,), 0.8, LabelCode(3, kind, 4)),
    ):
        assert not torch.equal(G(z, labels), G(z, others))
    for D in (
        ConvDiscriminator(1, 32, 2, 0.8, 0.0, LabelCode(3, kind, 4)),
        MLPDiscriminator((1, 32, 32), (8,), 0.0, LabelCode(3, kind, 4)),
    ):
        assert not torch.equal(D(image, labels), D(image, others))


def test_init_leaves_linear_layers_and_embeddings_alone():
    net = nn.Sequential(nn.Linear(4, 4), LabelCode(3, "embedding", 4), nn.BatchNorm1d(4, affine=False))
    before = {name: p.clone() for name, p in net.named_parameters()}
    init_normal(net)
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_dropout_sets_its_share_to_zero_and_scales_the_rest(p):
    layer, x = Dropout(p), torch.full((200, 500), 3.0, requires_grad=True)
    y = layer(x)
    assert_close((y == 0).float().mean().item(), p, atol=0.01, rtol=0)
    if p < 1:
        assert_close(y[y != 0], torch.full_like(y[y != 0], 3 / (1 - p)))
    y.sum().backward()
    assert_close(x.grad, (y / 3).detach())
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    assert layer.eval()(x) is x


def test_dropout_draws_the_same_numbers_in_every_layout():
    x = torch.ones(2, 8, 4, 4)
    torch.manual_seed(0)
    y = Dropout(0.5)(x)
    torch.manual_seed(0)
    assert torch.equal(Dropout(0.5)(x.contiguous(memory_format=torch.channels_last)), y)
