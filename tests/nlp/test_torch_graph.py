"""Every operation against ONNX Runtime, and what the graph may not do."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from moodtape.errors import UnreadableFile, UsageError
from moodtape.nlp.export import OPSET
from moodtape.nlp.onnx_scorer import bundled_folder, make_session
from moodtape.nlp.torch_graph import TorchGraph
from moodtape.nlp.torch_operations import HOST, operations

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the torch extra"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4)).astype(np.float32)
Y = RNG.normal(size=(3, 4)).astype(np.float32)
SQUARE = RNG.normal(size=(4, 4)).astype(np.float32)
WHOLE = RNG.integers(-5, 6, (3, 4))
TRUE = X > 0
VECTOR = RNG.normal(size=4).astype(np.float32)


def ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


# what is done, attributes, inputs; those in a list are read on the host
CASES: list[tuple[str, dict[str, Any], list[Any]]] = [
    *[(kind, {}, [X]) for kind in (
        "Abs", "Ceil", "Erf", "Identity", "Neg", "Relu", "Sigmoid", "Sign", "Tanh", "Gelu",
    )],
    *[(kind, {}, [X, Y]) for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min")],
    *[(kind, {}, [X, X[:1]]) for kind in (
        "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual",
    )],
    *[(kind, {}, [TRUE, ~TRUE[:1]]) for kind in ("And", "Or")],
    ("Not", {}, [TRUE]),
    ("Sqrt", {}, [np.abs(X)]),
    ("Log", {}, [np.abs(X)]),
    ("Pow", {}, [np.abs(X), np.float32(3)]),
    ("Div", {}, [WHOLE, np.array(3)]),
    ("Max", {}, [X, Y, -X]),
    ("Gelu", {"approximate": "tanh"}, [X]),
    ("Cast", {"to": TensorProto.INT64}, [X]),
    ("Cast", {"to": TensorProto.BOOL}, [WHOLE]),
    ("Cast", {"to": TensorProto.FLOAT}, [TRUE]),
    ("Clip", {}, [X, np.float32(-0.5), np.float32(0.5)]),
    ("Clip", {}, [X, None, np.float32(0.5)]),
    ("Concat", {"axis": -1}, [X, X]),
    ("CumSum", {}, [WHOLE, [np.array(1)]]),
    ("Expand", {}, [Y, [ints(2, 1, 4)]]),
    ("Gather", {"axis": 1}, [X, np.array([[0, -1], [2, 1]])]),
    ("Gather", {"axis": 1}, [X, np.array(-1)]),
    ("Gather", {}, [Y, ints(2, 0)]),
    ("GatherElements", {"axis": 1}, [Y, np.array([[0, -1], [3, 1], [2, 2]])]),
    ("GatherND", {}, [X, np.array([[0, -1], [1, 2]])]),
    ("Gemm", {}, [Y, SQUARE]),
    ("Gemm", {"alpha": 0.5, "beta": 2.0, "transB": 1}, [Y, SQUARE, VECTOR]),
    ("Gemm", {"transA": 1}, [Y, Y, SQUARE]),
    ("LayerNormalization", {"axis": -1, "epsilon": 1e-3}, [X, VECTOR, VECTOR]),
    ("LayerNormalization", {"axis": 1}, [X, Y]),
    ("MatMul", {}, [X, SQUARE]),
    ("MatMul", {}, [X, X.transpose(0, 2, 1)]),
    *[(kind, given, [X, [axes]]) for kind in ("ReduceMean", "ReduceSum") for given, axes in (
        ({}, ints(1)), ({"keepdims": 0}, ints(-1, 0)), ({"noop_with_empty_axes": 1}, ints()),
        ({}, ints()),
    )],
    ("ReduceSum", {}, [X]),
    ("Reshape", {}, [X, [ints(0, -1)]]),
    ("Reshape", {"allowzero": 1}, [X, [ints(4, 6)]]),
    ("Shape", {}, [X]),
    ("Shape", {"start": -2}, [X]),
    ("Shape", {"start": 0, "end": 1}, [X]),
    ("Slice", {}, [X, [ints(0, 1)], [ints(1, 2**62)], [ints(0, -1)], [ints(1, 2)]]),
    ("Slice", {}, [X, [ints(-1)], [ints(9)]]),
    ("Softmax", {"axis": 1}, [X]),
    ("Softmax", {}, [X]),
    ("Squeeze", {}, [X[:1, :, :1], [ints(0)]]),
    ("Squeeze", {}, [X[:1, :, :1]]),
    ("Tile", {}, [Y, [ints(2, 3)]]),
    ("Transpose", {"perm": [2, 0, 1]}, [X]),
    ("Transpose", {}, [X]),
    ("Unsqueeze", {}, [Y, [ints(-1, 0)]]),
    ("Where", {}, [TRUE, X, Y]),
]  # fmt: skip


def model(nodes: list[Any], inputs: dict[str, Any], constants: dict[str, Any]) -> bytes:
    """Return the bytes of a graph that gives `out`."""
    graph = helper.make_graph(
        nodes,
        "one",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim
            )
            for name, value in inputs.items()
        ],
        [helper.make_empty_tensor_value_info("out")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    content: bytes = onnx.shape_inference.infer_shapes(proto).SerializeToString()
    return content


def by_torch(content: bytes, inputs: dict[str, Any], **how: Any) -> Any:
    import torch

    graph = TorchGraph(content, "one", **how)
    given = {name: torch.from_numpy(np.array(value)) for name, value in inputs.items()}
    first, again = (graph.run(["out"], given)[0].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again, "what was kept of a shape is not what it was")
    return first


def same(content: bytes, inputs: dict[str, Any]) -> None:
    (expected,) = make_session(content).run(["out"], inputs)
    found = by_torch(content, inputs)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "given", "parts"), CASES)
def test_an_operation_gives_what_onnx_runtime_gives(
    kind: str, given: dict[str, Any], parts: list[Any]
) -> None:
    host = [i for i, part in enumerate(parts) if isinstance(part, list)]
    assert set(host) <= set(HOST.get(kind, ()))
    names = ["" if part is None else f"in{i}" for i, part in enumerate(parts)]
    constants = {f"in{i}": parts[i][0] for i in host}
    inputs = {
        name: np.asarray(part)
        for name, part in zip(names, parts, strict=True)
        if name and name not in constants
    }
    same(model([helper.make_node(kind, names, ["out"], **given)], inputs, constants), inputs)


def test_a_range_follows_the_shape_of_the_input() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], start=2),
        helper.make_node("Squeeze", ["shape"], ["length"]),
        helper.make_node("Range", ["zero", "length", "one"], ["range"]),
        helper.make_node("Cast", ["range"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "floats"], ["out"]),
    ]
    constants = {"zero": np.array(0), "one": np.array(1)}
    content = model(nodes, {"x": X}, constants)
    same(content, {"x": X})
    same(content, {"x": X[:, :, :2]})


def test_every_known_operation_was_compared() -> None:
    assert {kind for kind, _, _ in CASES} | {"Range"} == set(operations())
    assert set(HOST) <= set(operations())


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (helper.make_node("NonZero", ["x"], ["out"]), "NonZero, unknown"),
        (helper.make_node("Inverse", ["x"], ["out"], domain="com.me"), r"com\.me\.Inverse, unk"),
        (helper.make_node("Dropout", ["x"], ["out", "mask"]), "Dropout, unknown"),
        (helper.make_node("CumSum", ["x", "one"], ["out"], reverse=1), "CumSum with reverse"),
        (helper.make_node("Reshape", ["x", "y"], ["out"]), "Reshape with a shape that depends"),
    ],
)
def test_what_is_not_known_is_named_and_the_cpu_is_offered(node: Any, told: str) -> None:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in "xy"],
        [helper.make_empty_tensor_value_info("out")],
        [numpy_helper.from_array(np.array(1), "one")],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    content = helper.make_model(graph, opset_imports=opsets).SerializeToString()
    with pytest.raises(UsageError, match=f"mine holds .*{told}.* on the CPU: --device cpu"):
        TorchGraph(content, "mine")


def test_another_version_of_the_standard_is_refused() -> None:
    graph = helper.make_graph([], "none", [], [])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    with pytest.raises(UnreadableFile, match=f"mine: expected ONNX opset {OPSET} alone"):
        TorchGraph(content.SerializeToString(), "mine")


def test_bf16_rounds_the_factors_of_products_and_nothing_else() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["out"]),
    ]
    content = model(nodes, {"x": Y}, {"weight": SQUARE, "bias": VECTOR * 1e-4})

    def rounded(array: Any) -> Any:
        """Keep eight bits: halves go to even."""
        bits = array.astype(np.float32).view(np.uint32)
        up = 0x7FFF + ((bits >> 16) & 1)
        return ((bits + up) & 0xFFFF0000).astype(np.uint32).view(np.float32)

    expected = rounded(rounded(Y) @ rounded(SQUARE)) + VECTOR * np.float32(1e-4)
    found = by_torch(content, {"x": Y}, bf16=True)
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-6)
    assert np.abs(rounded(found) - found).max() > 0, "the sum was rounded, too"
    gemm = model([helper.make_node("Gemm", ["x", "weight"], ["out"])], {"x": Y}, {"weight": SQUARE})
    assert np.array_equal(by_torch(gemm, {"x": Y}, bf16=True), by_torch(gemm, {"x": Y}))


def test_the_bundled_graph_never_waits_for_the_device() -> None:
    """`meta` has shapes and no numbers: whoever asked it for one would fail."""
    import torch

    content = (bundled_folder() / "model.onnx").read_bytes()
    graph = TorchGraph(content, "bundled", "meta")
    for shape in ((4, 12), (2, 128), (4, 12)):
        ids = torch.ones(shape, dtype=torch.int64, device="meta")
        heads = graph.run(["sentiment", "kind"], {"input_ids": ids, "attention_mask": ids})
        assert [tuple(head.shape) for head in heads] == [(shape[0], 3), (shape[0], 5)]
