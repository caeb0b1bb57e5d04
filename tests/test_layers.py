"""Layers of options: a later one wins, and only those that are asked for count."""

import pytest

from options.layers import LAYERS, resolve

EACH = {layer: {"x": number, layer: number} for number, layer in enumerate(LAYERS)}


@pytest.mark.parametrize("number", range(len(LAYERS)))
def test_the_strongest_layer_that_sets_an_option_wins(number):
    found = resolve({layer: EACH[layer] for layer in reversed(LAYERS[: number + 1])})
    assert found == {"x": number} | {layer: i for i, layer in enumerate(LAYERS[: number + 1])}


def test_only_the_layers_that_are_asked_for_count():
    assert resolve(EACH, last="card") == {"x": 2, "declaration": 0, "model": 1, "card": 2}
    assert resolve(EACH, first="config") == {"x": 5, "config": 4, "command line": 5}
    assert resolve({}) == {}
