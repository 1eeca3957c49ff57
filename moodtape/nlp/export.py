"""A torch model becomes an ONNX file with 8-bit weights.

The file holds each large weight as int8 with one scale for each column (for the
word table: each row) and two plain nodes, Cast and Mul, that make it fp32 again.
Nodes over constants are folded when a session is made, so the arithmetic is fp32
and no activation is ever rounded to 8 bits. DequantizeLinear would do the same in
the standard, but runtimes fuse it into kernels that compute differently.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.errors import UsageError
from moodtape.nlp.model_folder import FACTS_FILE, MODEL_FILE, TOKENIZER_FILE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRECISION = "w8f32"
OPSET = 20
SMALLEST_ROUNDED = 10_000
"""Weights with fewer numbers (biases, norms, heads) stay fp32: they cost nothing."""


def to_onnx(model: Any, heads: Sequence[str] = ("sentiment", "kind")) -> Any:
    """Return a torch model as an ONNX graph; batch and token count stay free.

    Inputs `input_ids`, `attention_mask` (batch, tokens); outputs the logits of each head.
    """
    try:
        import onnxscript  # noqa: F401
        import torch
    except ImportError as exc:
        raise UsageError(
            "Exporting needs the 'torch' extra: pip install \"moodtape[torch]\""
        ) from exc
    example = torch.ones((2, 8), dtype=torch.long)
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2, max=512)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            model.eval(),
            (example, example.clone()),
            dynamo=True,
            dynamic_shapes=(free, free),
            input_names=["input_ids", "attention_mask"],
            output_names=list(heads),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None  # only the older exporter, dynamo=False, returns nothing
    return without_notes(program.model_proto)


def without_notes(proto: Any) -> Any:
    """Return the graph without the exporter's notes: source paths, stack traces, shapes."""
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    del proto.graph.value_info[:]
    del proto.functions[:]
    return proto


def round_weight(weight: NDArray[np.float32], axis: int) -> tuple[Any, Any]:
    """Return a weight as int8 and the scales along `axis` (shape kept for broadcasting).

    The largest number of each row or column becomes 127; the rounding error is
    at most half a scale.
    """
    import numpy as np

    others = tuple(a for a in range(weight.ndim) if a != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = (np.maximum(largest, 1e-12) / 127).astype(np.float32)
    return np.clip(np.round(weight / scale), -127, 127).astype(np.int8), scale


def store_in_8_bits(proto: Any) -> Any:
    """Replace each large fp32 weight by int8, scale, and the nodes that multiply them."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = proto.graph
    kept, added, front = [], [], []
    nodes = list(graph.node)
    for tensor in graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if weight.dtype != np.float32 or weight.size < SMALLEST_ROUNDED:
            kept.append(tensor)
            continue
        name = tensor.name
        gathers = [node for node in nodes if name in node.input and node.op_type == "Gather"]
        whole, scale = round_weight(weight, axis=0 if gathers else 1)
        added += [
            numpy_helper.from_array(whole, f"{name}.int8"),
            numpy_helper.from_array(scale, f"{name}.scale"),
        ]
        if gathers:
            _gather_then_multiply(nodes, gathers, name)
            continue
        front += [
            helper.make_node("Cast", [f"{name}.int8"], [f"{name}.cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]),
        ]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *added])
    del graph.node[:]
    graph.node.extend([*front, *nodes])
    return proto


def _gather_then_multiply(nodes: list[Any], gathers: list[Any], name: str) -> None:
    """Look up int8 rows and multiply only those, so that the table stays small in memory."""
    from onnx import TensorProto, helper

    for gather in gathers:
        place, out, rows = nodes.index(gather), gather.output[0], gather.input[1]
        nodes[place : place + 1] = [
            helper.make_node("Gather", [f"{name}.int8", rows], [f"{out}.int8"]),
            helper.make_node("Gather", [f"{name}.scale", rows], [f"{out}.scale"]),
            helper.make_node("Cast", [f"{out}.int8"], [f"{out}.cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{out}.cast", f"{out}.scale"], [out]),
        ]


def fold_temperatures(model: Any, temperatures: dict[str, float]) -> None:
    """Divide each head by its temperature, in place, so that a plain softmax is calibrated."""
    import torch

    with torch.no_grad():
        for head, temperature in temperatures.items():
            layer = getattr(model, head)
            layer.weight /= temperature
            layer.bias /= temperature


def write_folder(folder: Path, proto: Any, tokenizer: str, facts: dict[str, Any]) -> None:
    """Write model.onnx, tokenizer.json and model.json; the hashes are added to the facts.

    The tokenizer's hash also goes into the model file, so that the one hash in a
    score's revision changes with either.
    """
    import onnx

    tokenizer_sha256 = hashlib.sha256(tokenizer.encode("utf-8")).hexdigest()
    onnx.helper.set_model_props(proto, {"tokenizer_sha256": tokenizer_sha256})
    onnx.checker.check_model(proto)
    content = proto.SerializeToString(deterministic=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(content)
    (folder / TOKENIZER_FILE).write_text(tokenizer, "utf-8")
    facts = {
        **facts,
        "precision": PRECISION,
        "sha256": hashlib.sha256(content).hexdigest(),
        "tokenizer_sha256": tokenizer_sha256,
        "bytes": len(content),
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
