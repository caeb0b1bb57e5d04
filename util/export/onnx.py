"""Networks as ONNX, with weights of 32, 16 or 8 bits, checked in onnxruntime."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from util.export.graph import Difference, Graph, Run, Weights, check, require

OPSET = 18
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
SMALL = 256  # numbers: tensors with fewer stay in fp32, as biases and the scales of norms do
Array = NDArray[Any]


def to_onnx(graph: Graph, weights: Weights, what: str = "--format onnx") -> tuple[bytes, Difference]:
    """Return ``graph`` as one ONNX file, with its card in the metadata, and how far it is from PyTorch.

    Weights of 16 or 8 bits are stored so and computed with in fp32: Cast and DequantizeLinear nodes turn them back.

    Raises:
        ValueError: packages are missing, or what it computes is not what the model computes.
    """
    require(PACKAGES, what)
    import onnx

    with _quietly(), torch.no_grad():
        program = torch.onnx.export(
            graph.net,
            (),
            kwargs=graph.example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.example),
            output_names=[graph.output],
            dynamic_shapes=graph.dynamic,
        )
    assert program is not None
    model = program.model_proto
    if weights != "fp32":
        shrink(model.graph, weights)
    texts = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in graph.card.items()}
    onnx.helper.set_model_props(model, texts)
    model.producer_name = "ganvas"
    model.doc_string = f"{graph.card['name']}: {graph.card['licence']}"
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    return content, check(graph, weights, runner(content))


def runner(content: bytes) -> Run:
    """Return a function that runs an ONNX file in onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, Tensor]) -> Tensor:
        return torch.from_numpy(session.run(None, {name: value.numpy() for name, value in inputs.items()})[0])

    return run


def shrink(graph: Any, weights: Weights) -> None:
    """Store the larger fp32 initializers of a GraphProto with fewer bits, and turn them back when it is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    second, nodes = {node.input[1] for node in graph.node if _is_second(node)}, []
    for stored in list(graph.initializer):
        if stored.data_type != TensorProto.FLOAT or np.prod(stored.dims) < SMALL:
            continue
        values, name, axis = numpy_helper.to_array(stored), stored.name, int(stored.name in second)
        graph.initializer.remove(stored)
        if weights == "int8" and values.ndim > 1:
            numbers, scales = quantized(values, axis)
            graph.initializer.append(numpy_helper.from_array(numbers, f"{name}_int8"))
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scale"))
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [name], axis=axis))
        else:
            half = np.clip(values, -65504, 65504).astype(np.float16)
            graph.initializer.append(numpy_helper.from_array(half, f"{name}_fp16"))
            nodes.append(helper.make_node("Cast", [f"{name}_fp16"], [name], to=TensorProto.FLOAT))
    for node in reversed(nodes):
        graph.node.insert(0, node)


def quantized(values: Array, axis: int) -> tuple[Array, Array]:
    """Return ``values`` as int8, and the scale of each channel along ``axis`` that turns them back."""
    others = tuple(d for d in range(values.ndim) if d != axis)
    scales = np.abs(values).max(axis=others) / 127
    scales[scales == 0] = 1
    shape = [-1 if d == axis else 1 for d in range(values.ndim)]
    numbers = np.clip(np.rint(values / scales.reshape(shape)), -127, 127).astype(np.int8)
    return numbers, scales.astype(np.float32)


def _is_second(node: Any) -> bool:
    """Say whether the output channels of a node's weights are along their second axis."""
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return node.op_type in ("ConvTranspose", "MatMul") or (node.op_type == "Gemm" and not transposed)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what the exporter prints and warns of, about itself only, from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
