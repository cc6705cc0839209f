"""Rebuilds a Keras network from OpenVINO's operations, whatever backend Keras runs on.

OpenVINO's own converters need TensorFlow, or trace for ten seconds on PyTorch, and do not read
what JAX traces. Image networks are made of few layers, so each has its rule: openvino_rules.py.
"""

from typing import Any

import numpy as np

from kerascnn.engine.network.flat import inner_graph
from kerascnn.engine.network.prefix.openvino_rules import (
    RULES,
    ConversionError,
    Rule,
    to_nchw,
    to_nhwc,
)
from kerascnn.runtime.keras_internals import run_graph
from kerascnn.runtime.openvino import load_openvino


def convert(model: Any, batch_size: int) -> Any:
    """Makes the `openvino.Model` of a functional Keras model in inference mode.

    Args:
        model: One input [B, H, W, C] and one output, in float32; the graph gets copies of its
            weights.
        batch_size: B; OpenVINO is fastest if it knows every shape.

    Returns:
        From float32 [B, H, W, C] to the model's output in Keras's order of axes.

    Raises:
        ConversionError: A layer has no rule, or a setting that its rule does not cover.
    """
    openvino = load_openvino()
    from openvino import opset13 as ov

    images = ov.parameter([batch_size, *model.input_shape[1:]], np.float32)

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if inner := inner_graph(operation):
            return run_graph(inner, args[0] if args else kwargs["inputs"], call)
        named = {key: kwargs[key] for key in kwargs.keys() - {"mask", "training"}}
        return _apply(ov, operation, args, named)

    output = run_graph(model, to_nchw(ov, images.output(0)), call)
    return openvino.Model([ov.result(to_nhwc(ov, output))], [images])


def _apply(ov: Any, operation: Any, args: Any, named: dict[str, Any]) -> Any:
    kind = type(operation).__name__
    try:
        return _rule(operation)(ov, operation, *args, **named)
    except Exception as error:
        raise ConversionError(f'layer "{operation.name}" ({kind}): {error}') from error


def _rule(operation: Any) -> Rule:
    rule = RULES.get(type(operation).__name__)
    if rule is None or not type(operation).__module__.startswith("keras."):
        raise ConversionError("it has no counterpart in OpenVINO")
    if getattr(operation, "compute_dtype", "float32") != "float32":
        raise ConversionError(f"it computes in {operation.compute_dtype}")
    if getattr(operation, "data_format", "channels_last") != "channels_last":
        raise ConversionError("its channels come first")
    return rule
