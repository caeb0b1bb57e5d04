"""Networks in low precision: what computes in what, how it lies in memory, and that nothing else changes."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from torch.utils._pytree import tree_map_only

from models.networks.fast import plain
from models.step.fast import FastNetworks
from models.step.plan import Speed
from models.step.stepper import Stepper
from tests.tiny_models import LEARNERS, RGB_32, assert_same, build, create, make_batch, snapshot, train
from util.seeding import seed_all

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32
LOW = Speed(BF16, channels_last=True)


class Watch:
    """Notes the dtype, and whether it is channels-last, of all that convolutions of a network put out."""

    def __init__(self, net: torch.nn.Module) -> None:
        self.seen: set[tuple[torch.dtype, bool]] = set()
        for module in net.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                module.register_forward_hook(self._note)

    def _note(self, module: Any, args: Any, output: torch.Tensor) -> None:
        if output.shape[1] > 1:
            self.seen.add((output.dtype, output.is_contiguous(memory_format=torch.channels_last)))

    def take(self) -> set[tuple[torch.dtype, bool]]:
        seen, self.seen = self.seen, set()
        return seen


@pytest.mark.parametrize("case", LEARNERS)
@pytest.mark.parametrize("dtype", [BF16, FP16])
def test_every_model_trains_in_low_precision(case, dtype):
    model = create(case)
    if dtype == FP16 and model.opt.optimizer != "adam":
        pytest.skip("the optimizer cannot undo the scaling of losses")
    keys = list(model.state_dict())
    fast = FastNetworks(model, Speed(dtype, channels_last=True))
    before = snapshot(model)["model"]
    with fast.in_use():
        (losses, *_) = train(model, case, range(6, 7))
    assert all(loss.dtype == FP32 and loss.isfinite() for loss in losses.values())
    assert list(model.state_dict()) == keys
    state = model.state_dict()
    assert all(v.dtype == before[k].dtype for k, v in state.items())
    assert all(v.isfinite().all() for v in state.values())
    assert any(not torch.equal(v, before[k]) for k, v in state.items())


def test_networks_compute_low_in_training_alone():
    model = create("cgan conv")
    watch = Watch(model)
    own = dict(model.nets)
    with FastNetworks(model, LOW).in_use():
        train(model, "cgan conv", range(1, 2))
        assert watch.take() == {(BF16, True)}
        assert {name: plain(net) for name, net in model.nets.items()} == own
    assert model.nets == own
    train(model, "cgan conv", range(2, 3))
    assert {dtype for dtype, _ in watch.take()} == {FP32}
    model.eval()
    with torch.no_grad():
        images = model(make_batch("cgan conv"))["fake"]
    assert images.dtype == FP32
    assert {dtype for dtype, _ in watch.take()} == {FP32}


def test_a_copy_of_a_fast_model_is_a_plain_one():
    case, speed = "cycle_gan", Speed(BF16, channels_last=True, compiled=True)
    stepper, expected = Stepper(create(case), speed), create(case).eval()
    copied = copy.deepcopy(stepper.model).eval()
    assert list(copied.state_dict()) == list(expected.state_dict())
    with torch.no_grad():
        assert_close(copied(make_batch(case)), expected(make_batch(case)), rtol=1e-4, atol=1e-5)


def penalties(speed, **options):
    """Return the penalties of a model on a batch, the gradient of their sum, and what D's convolutions computed in."""
    case = "wgan_gp dcgan conditional"
    model = create(case, **options)
    networks = FastNetworks(model, speed)
    with torch.no_grad():
        for p in model.netD.parameters():
            p.mul_(3)
    watch = Watch(model.netD)
    batch = make_batch(case)
    torch.manual_seed(0)
    real, fake = ((images, batch["label"]) for images in (batch["image"], -batch["image"]))
    with networks.in_use():
        terms = {name: term.value for name, term in model.penalties(model.netD, real, fake).items()}
    grads = torch.autograd.grad(sum(terms.values()), list(model.netD.parameters()), allow_unused=True)
    return terms, torch.cat([g.flatten() for g in grads if g is not None]), {dtype for dtype, _ in watch.take()}


@pytest.mark.parametrize("speed", [LOW, Speed(FP16, channels_last=True)])
def test_the_gradient_penalty_is_computed_in_fp32(speed):
    terms, _, _ = penalties(Speed())
    low, _, seen = penalties(speed)
    assert seen == {FP32}
    assert terms["gp"] > 1e-3
    assert_close(low, terms, rtol=1e-5, atol=1e-7)


def test_zero_centred_penalties_learn_the_same_in_bf16():
    zero_centred = {"gan_mode": "hinge", "r1_gamma": 1.0, "r2_gamma": 1.0}
    terms, gradient, _ = penalties(Speed(), **zero_centred)
    low, low_gradient, seen = penalties(LOW, **zero_centred)
    assert seen == {BF16}
    assert low.keys() == {"r1", "r2"}
    assert_close(low, terms, rtol=0.02, atol=0)
    assert torch.cosine_similarity(low_gradient, gradient, dim=0) > 0.999
    assert penalties(Speed(FP16, channels_last=True), **zero_centred)[2] == {FP32}


def test_moments_follow_their_parameters_into_another_layout():
    plain, fast = create("pix2pix"), create("pix2pix")
    train(plain, "pix2pix", range(1, 3))
    state = snapshot(plain)
    networks = FastNetworks(fast, Speed(FP32, channels_last=True))
    fast.load_state_dict(state["model"])
    for name, optimizer in fast.optimizers.items():
        optimizer.load_state_dict(state[name])
        for p, values in optimizer.state.items():
            for moment in ("exp_avg", "exp_avg_sq"):
                assert values[moment].stride() == p.stride()
    assert any(not p.is_contiguous() for p in fast.parameters())
    train(plain, "pix2pix", range(3, 5))
    with networks.in_use():  # with moments paired wrongly this would differ at once
        train(fast, "pix2pix", range(3, 5))
    for name, value in plain.named_parameters():
        assert_close(dict(fast.named_parameters())[name], value, rtol=1e-3, atol=2e-5, msg=name)


def test_spectral_norm_is_estimated_in_fp32():
    model = build("cgan", RGB_32, ngf=4, ndf=4, nz=8, spectral_norm=True, norm_D="none")
    networks = FastNetworks(model, LOW)
    numbers = model.netD.main[0].parametrizations.weight[0]
    dtypes = []
    torch.nn.Module.register_forward_hook(numbers, lambda module, args, output: dtypes.append(output.dtype))
    with networks.in_use():
        model.netD(torch.zeros(2, 3, 32, 32), torch.tensor([0, 1]))
    assert dtypes == [FP32]
    assert numbers._u.dtype == FP32
    assert_close(numbers._u.norm(), torch.tensor(1.0))


def test_fp16_leaves_out_a_step_whose_gradients_overflow():
    model = create("template")
    model.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60, backoff_factor=2.0**-50)
    take = Stepper(model, Speed(FP16, channels_last=True))
    before = snapshot(model)["model"]
    take(make_batch("template"), 1)
    assert model.scaler.get_scale() == 2.0**10
    assert_close(dict(model.named_parameters()), {k: before[k] for k, _ in model.named_parameters()}, rtol=0, atol=0)
    take(make_batch("template"), 2)
    assert any(not torch.equal(p, before[k]) for k, p in model.named_parameters())


class InductorError(RuntimeError):
    __module__ = "torch._inductor.exc"


@pytest.mark.parametrize("speed", [Speed(compiled=True), Speed(BF16, True, compiled=True)], ids=str)
@pytest.mark.parametrize("is_backward", [False, True], ids=["forward", "backward"])
def test_a_compiler_that_fails_is_told_of_once_and_left(monkeypatch, capsys, speed, is_backward):
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise InductorError("no room for it\nmore")

    def compile_nothing(function, dynamic):
        def fail(*inputs):
            if not is_backward:
                raise InductorError("no room for it\nmore")
            return Failing.apply(function(*inputs))

        return fail

    monkeypatch.setattr(torch, "compile", compile_nothing)
    losses: list[Any] = []
    for chosen in (speed, speed._replace(compiled=False)):
        model = create("pix2pix wgangp")  # no batch norm, whose statistics a pass that is repeated would change
        stepper = Stepper(model, chosen)
        losses.append([])
        for step in (3, 6, 9):
            torch.manual_seed(step)
            losses[-1].append(stepper(make_batch("pix2pix wgangp", seed=step), step))
    assert [line for line in capsys.readouterr().err.splitlines() if "--compile" in line] == [
        "warning: --compile is switched off: no room for it"
    ]
    if not is_backward:
        assert_close(losses[0], losses[1], rtol=0, atol=0)
    assert all(loss.isfinite() for loss in losses[0][-1].values())


def test_an_error_of_the_model_itself_is_none_of_the_compilers(monkeypatch):
    def compile_wrongly(function, dynamic):
        def fail(*inputs):
            raise ValueError("labels out of range")

        return fail

    monkeypatch.setattr(torch, "compile", compile_wrongly)
    model = create("cgan mlp")
    with pytest.raises(ValueError, match="labels out of range"):
        Stepper(model, Speed(compiled=True))(make_batch("cgan mlp"), 1)


class Once(torch.autograd.Function):
    """Hands on what a network computes; its gradient has no gradient, as that of compiled networks has none."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        if torch.is_grad_enabled():
            raise RuntimeError("torch.compile with aot_autograd does not currently support double backward")
        return gradient


@pytest.mark.parametrize("case", LEARNERS)
def test_every_model_trains_compiled(monkeypatch, capsys, case):
    """Its losses differentiate compiled networks once; for what they differentiate twice they take plain(net)."""

    def compile_(function, dynamic):
        return lambda *inputs, **options: tree_map_only(torch.Tensor, Once.apply, function(*inputs, **options))

    monkeypatch.setattr(torch, "compile", compile_)
    model, steps = create(case), range(5, 7)  # with and without an update of G, with and without penalties
    stepper, losses = Stepper(model, Speed(compiled=True)), []
    for step in steps:
        seed_all(0, step)
        losses.append(stepper(make_batch(case, seed=step), step))
    assert stepper.speed.compiled, capsys.readouterr().err
    assert_same(losses, train(create(case), case, steps))


@pytest.fixture
def aot_eager(monkeypatch):
    """All of torch.compile but the C++ compiler."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))


def test_compiled_networks_learn_the_same(aot_eager):
    model, plain = create("gan"), create("gan")
    with FastNetworks(model, Speed(compiled=True)).in_use():
        losses = train(model, "gan", range(1, 4))
    assert_close(losses, train(plain, "gan", range(1, 4)), rtol=1e-3, atol=1e-5)


def test_a_model_that_differentiates_a_compiled_network_twice_is_told_so_in_one_line(aot_eager, monkeypatch, capsys):
    monkeypatch.setattr("models.adversarial.plain", lambda net: net)
    stepper = Stepper(create("wgan_gp"), Speed(compiled=True))
    losses = stepper(make_batch("wgan_gp"), 1)
    assert all(loss.isfinite() for loss in losses.values())
    assert not stepper.speed.compiled
    said = "--compile is switched off: a loss differentiates a compiled network twice: its model must use plain(net)"
    assert [line for line in capsys.readouterr().err.splitlines() if said in line] == [
        f"warning: {said} or eager(net) there"
    ]
