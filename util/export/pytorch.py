"""Files for PyTorch without this project: a program (.pt2), or weights alone (.safetensors)."""

import io
import json

import torch
from torch import Tensor
from torch.fx.experimental import _config as sizes

from util.export.graph import Difference, Graph, Weights, check, require


def program(graph: Graph, weights: Weights) -> tuple[bytes, Difference]:
    """Return ``graph`` as ``torch.export.load(file).module()`` reads it; the card is its extra file card.json.

    Raises:
        ValueError: what it computes is not what the model computes.
    """
    _check_weights("torch", weights)
    file = io.BytesIO()
    # Without the patch a U-Net's innermost features, one pixel of the least sides, would make these sides an error.
    with torch.no_grad(), sizes.patch(backed_size_oblivious=True):  # type: ignore[attr-defined]
        exported = torch.export.export(graph.net, (), graph.example, dynamic_shapes=graph.dynamic)
    torch.export.save(exported, file, extra_files={"card.json": json.dumps(graph.card, ensure_ascii=False)})
    file.seek(0)
    loaded = torch.export.load(file).module()

    def run(inputs: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            return loaded(**inputs)

    return file.getvalue(), check(graph, weights, run)


def tensors(graph: Graph, weights: Weights) -> tuple[bytes, Difference]:
    """Return the state dict of the generator as a safetensors file, the card in its metadata.

    Raises:
        ValueError: the package is missing.
    """
    require(["safetensors"], "--format safetensors")
    _check_weights("safetensors", weights)
    from safetensors.torch import load, save

    (net,) = graph.net.children()
    state = {name: value.detach().contiguous() for name, value in net.state_dict().items()}
    content = save(state, {"card": json.dumps(graph.card, ensure_ascii=False)})
    loaded = load(content)
    assert loaded.keys() == state.keys() and all(torch.equal(loaded[name], state[name]) for name in state)
    return content, Difference(0.0, 0.0)


def _check_weights(kind: str, weights: Weights) -> None:
    if weights != "fp32":
        raise ValueError(f"--weights {weights}: --format {kind} keeps them as they are; use --format onnx or web")
