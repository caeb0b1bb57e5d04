"""Means of losses."""

import io
import math

import pytest
import torch

from util.training.meter import LossMeter


def tensors(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def update(meter: LossMeter, losses: dict[str, torch.Tensor]) -> None:
    """Do what a step and the loop do."""
    meter.add(losses)
    meter.count(losses)


def test_means_are_over_the_steps_since_the_last_report_and_over_the_epoch():
    meter = LossMeter()
    for value in (1.0, 2.0, 6.0):
        update(meter, tensors(G=value, D=-value))
    assert meter.report() == {"G": 3.0, "D": -3.0}
    update(meter, tensors(G=11.0, D=1.0))
    assert meter.report() == {"G": 11.0, "D": 1.0}
    assert meter.epoch() == {"G": 5.0, "D": -2.0}


def test_a_new_epoch_starts_from_nothing():
    meter = LossMeter()
    update(meter, tensors(G=1.0))
    meter.epoch()
    update(meter, tensors(G=5.0))
    assert meter.epoch() == {"G": 5.0}
    assert meter.report() == {"G": 3.0}  # which an epoch's end does not touch


def test_a_loss_that_only_some_steps_report_is_averaged_over_those():
    meter = LossMeter()
    for step in range(6):
        update(meter, tensors(D=1.0) | (tensors(G=float(step)) if step % 3 == 0 else {}))
    assert meter.report() == {"D": 1.0, "G": 1.5}


def test_nothing_reported_is_nothing():
    meter = LossMeter()
    assert meter.report() == {}
    assert meter.epoch() == {}


def test_what_was_logged_may_change_afterwards():
    meter, loss = LossMeter(), torch.tensor(2.0)
    update(meter, {"G": loss})
    loss.fill_(100.0)
    assert meter.report() == {"G": 2.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_by_name(bad):
    for report in (LossMeter.report, LossMeter.epoch):
        meter = LossMeter()
        update(meter, tensors(D_real=0.5, G=1.0))
        update(meter, tensors(D_real=0.5, G=bad))
        with pytest.raises(FloatingPointError, match="loss G is not finite"):
            report(meter)


def test_updating_waits_for_nothing(monkeypatch):
    meter = LossMeter()
    for name in ("item", "__float__", "__bool__", "tolist", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, None)
    for _ in range(3):
        update(meter, tensors(G=1.0))


def test_a_restored_meter_goes_on_where_the_other_stood():
    meter, restored = LossMeter(), LossMeter()
    for value in (1.0, 2.0):
        update(meter, tensors(G=value))
    meter.report()
    update(meter, tensors(G=6.0, D=1.0))
    file = io.BytesIO()
    torch.save(meter.state_dict(), file)
    file.seek(0)
    update(restored, tensors(other=1.0))
    restored.load_state_dict(torch.load(file, weights_only=True))
    restored.to(torch.device("cpu"))
    for each in (meter, restored):
        update(each, tensors(G=8.0))
    assert restored.report() == meter.report() == {"G": 7.0, "D": 1.0}
    assert restored.epoch() == meter.epoch() == {"G": 17 / 4, "D": 1.0}


def test_a_state_that_was_taken_stays_as_it_was():
    meter = LossMeter()
    update(meter, tensors(G=1.0))
    state = meter.state_dict()
    update(meter, tensors(G=3.0))
    restored = LossMeter()
    restored.load_state_dict(state)
    update(restored, tensors(G=3.0))
    assert meter.report() == restored.report() == {"G": 2.0}
    assert restored.epoch() == {"G": 2.0}
    assert float(state["epoch"]["G"][0]) == 1.0


def test_sums_keep_their_place_for_recorded_steps():
    meter = LossMeter()
    update(meter, tensors(D=1.0, G=2.0))
    places = [total.data_ptr() for total in meter.sums]
    meter.report()
    meter.epoch()
    update(meter, tensors(D=3.0))
    assert [total.data_ptr() for total in meter.sums] == places
    assert meter.report() == {"D": 3.0}
