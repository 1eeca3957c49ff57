from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from moodtape.nlp.export import round_weight, store_in_8_bits, without_notes, write_folder

ROWS, WIDTH = 300, 128  # both weights have more numbers than the smallest that is rounded
TABLE = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
MATRIX = np.random.default_rng(1).normal(size=(WIDTH, WIDTH)).astype(np.float32)
BIAS = np.random.default_rng(2).normal(size=WIDTH).astype(np.float32)


def model() -> Any:
    """Return rows of TABLE looked up by id, times MATRIX, plus BIAS: a small encoder."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["rows"], doc_string="somebody/x.py"),
            helper.make_node("MatMul", ["rows", "matrix"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["out"]),
        ],
        "small",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", WIDTH])],
        [
            numpy_helper.from_array(TABLE, "table"),
            numpy_helper.from_array(MATRIX, "matrix"),
            numpy_helper.from_array(BIAS, "bias"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(proto: Any, ids: Any) -> Any:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["out"], {"ids": ids})[0]


def test_rounding_worked_by_hand() -> None:
    weight = np.array([[1.0, -2.0], [0.5, 0.01]], dtype=np.float32)
    whole, scale = round_weight(weight, axis=1)  # by column: the largest are 1 and 2
    assert whole.tolist() == [[127, -127], [64, 1]]  # .5 / (1 / 127) = 63.5, to even
    np.testing.assert_allclose(scale, [[1 / 127, 2 / 127]], rtol=1e-6)
    whole, scale = round_weight(weight, axis=0)  # by row: the largest are 2 and .5
    assert whole.tolist() == [[64, -127], [127, 3]]
    np.testing.assert_allclose(scale, [[2 / 127], [0.5 / 127]], rtol=1e-6)


def test_rounding_errs_by_half_a_scale_and_survives_zeros() -> None:
    whole, scale = round_weight(MATRIX, axis=1)
    assert (np.abs(whole * scale - MATRIX) <= scale / 2 * 1.0001).all()
    whole, scale = round_weight(np.zeros((3, 2), dtype=np.float32), axis=1)
    assert not whole.any()
    assert np.isfinite(scale).all()


def test_the_stored_model_computes_with_the_rounded_weights_in_fp32() -> None:
    ids = np.array([0, 7, ROWS - 1])
    exact = run(model(), ids)
    table, table_scale = round_weight(TABLE, axis=0)
    matrix, matrix_scale = round_weight(MATRIX, axis=1)
    expected = (table * table_scale)[ids] @ (matrix * matrix_scale) + BIAS
    stored = store_in_8_bits(model())
    onnx.checker.check_model(stored)
    np.testing.assert_allclose(run(stored, ids), expected, atol=1e-4)
    assert np.abs(run(stored, ids) - exact).max() < 0.5, "rounding changed the answers"
    assert stored.ByteSize() < 0.3 * model().ByteSize()
    kinds = {tensor.name: tensor.data_type for tensor in stored.graph.initializer}
    assert kinds == {
        "table.int8": TensorProto.INT8,
        "table.scale": TensorProto.FLOAT,
        "matrix.int8": TensorProto.INT8,
        "matrix.scale": TensorProto.FLOAT,
        "bias": TensorProto.FLOAT,
    }


def test_the_folder_holds_hashes_and_no_notes(tmp_path: Path) -> None:
    proto = without_notes(model())
    write_folder(tmp_path / "a", proto, "{}", {"name": "small"})
    write_folder(tmp_path / "b", without_notes(model()), "{}", {"name": "small"})
    write_folder(tmp_path / "c", without_notes(model()), "{ }", {"name": "small"})
    content = (tmp_path / "a" / "model.onnx").read_bytes()
    assert b"somebody" not in content
    assert content == (tmp_path / "b" / "model.onnx").read_bytes()
    facts = [json.loads((tmp_path / name / "model.json").read_text()) for name in "abc"]
    assert facts[0] == facts[1]
    assert facts[0]["bytes"] == len(content)
    assert facts[0]["sha256"] != facts[2]["sha256"], "another tokenizer must be another revision"


def test_an_invalid_model_is_not_written(tmp_path: Path) -> None:
    broken = model()
    broken.graph.node[0].input[0] = "nothing"
    with pytest.raises(onnx.checker.ValidationError):
        write_folder(tmp_path / "a", broken, "{}", {})
    assert not (tmp_path / "a").exists()
