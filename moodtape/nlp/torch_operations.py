"""The operations of ONNX (opset 20) that text models are made of, each as a torch function.

Every function takes the node's attributes, then its inputs as tensors. `HOST` names the inputs
that torch wants as plain numbers: shapes, axes and bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Attributes = Mapping[str, Any]
Operation = Callable[..., Any]

HOST: dict[str, tuple[int, ...]] = {
    "CumSum": (1,), "Expand": (1,), "Range": (0, 1, 2), "ReduceMean": (1,), "ReduceSum": (1,),
    "Reshape": (1,), "Slice": (1, 2, 3, 4), "Squeeze": (1,), "Tile": (1,), "Unsqueeze": (1,),
}  # fmt: skip
"""Places among a node's inputs that must be known without waiting for the device."""


def operations() -> dict[str, Operation]:
    """Return the torch function of each operation that is known here."""
    import torch

    def plain(function: Operation) -> Operation:
        """Return a function that reads no attribute."""
        return lambda given, *tensors: function(*tensors)

    return {
        "Abs": plain(torch.abs),
        "Add": plain(torch.add),
        "And": plain(torch.logical_and),
        "Cast": _cast,
        "Ceil": plain(torch.ceil),
        "Clip": lambda given, x, low=None, high=None: torch.clamp(x, low, high),
        "Concat": lambda given, *parts: torch.cat(parts, given["axis"]),
        "CumSum": plain(lambda x, axis: x.cumsum(int(axis), dtype=x.dtype)),
        "Div": plain(_divide),
        "Equal": plain(torch.eq),
        "Erf": plain(torch.erf),
        "Expand": plain(_expand),
        "Gather": _gather,
        "GatherElements": _gather_elements,
        "GatherND": plain(lambda x, places: x[tuple(places.unbind(-1))]),
        "Gelu": _gelu,
        "Gemm": _gemm,
        "Greater": plain(torch.gt),
        "GreaterOrEqual": plain(torch.ge),
        "Identity": plain(lambda x: x),
        "LayerNormalization": _layer_norm,
        "Less": plain(torch.lt),
        "LessOrEqual": plain(torch.le),
        "Log": plain(torch.log),
        "MatMul": plain(torch.matmul),
        "Max": plain(lambda *parts: _pairwise(torch.maximum, parts)),
        "Min": plain(lambda *parts: _pairwise(torch.minimum, parts)),
        "Mul": plain(torch.mul),
        "Neg": plain(torch.neg),
        "Not": plain(torch.logical_not),
        "Or": plain(torch.logical_or),
        "Pow": plain(torch.pow),
        "Range": _range,
        "ReduceMean": lambda given, x, axes=None: _reduce(torch.mean, given, x, axes),
        "ReduceSum": lambda given, x, axes=None: _reduce(torch.sum, given, x, axes),
        "Relu": plain(torch.relu),
        "Reshape": _reshape,
        "Shape": lambda given, x: torch.tensor(
            list(x.shape)[given.get("start", 0) : given.get("end")], dtype=torch.int64
        ),
        "Sigmoid": plain(torch.sigmoid),
        "Sign": plain(torch.sign),
        "Slice": plain(_slice),
        "Softmax": lambda given, x: torch.softmax(x, given.get("axis", -1)),
        "Sqrt": plain(torch.sqrt),
        "Squeeze": plain(_squeeze),
        "Sub": plain(torch.sub),
        "Tanh": plain(torch.tanh),
        "Tile": plain(lambda x, repeats: x.repeat(_ints(repeats))),
        "Transpose": lambda given, x: x.permute(given.get("perm", tuple(range(x.ndim))[::-1])),
        "Unsqueeze": plain(_unsqueeze),
        "Where": plain(torch.where),
    }


def refused(kind: str, given: Attributes) -> str:
    """Return which attribute of a node is not known here; empty where all are."""
    wanted = {"CumSum": ("exclusive", "reverse"), "GatherND": ("batch_dims",)}
    return next((name for name in wanted.get(kind, ()) if given.get(name)), "")


def _ints(tensor: Any) -> list[int]:
    return [int(value) for value in tensor.reshape(-1).tolist()]


def _cast(given: Attributes, x: Any) -> Any:
    import torch

    # TensorProto's numbers; they are part of the format.
    kinds = {
        1: torch.float32, 3: torch.int8, 6: torch.int32, 7: torch.int64, 9: torch.bool,
        10: torch.float16, 11: torch.float64, 16: torch.bfloat16,
    }  # fmt: skip
    return x.to(kinds[given["to"]])


def _divide(first: Any, second: Any) -> Any:
    """Divide; whole numbers are cut towards zero."""
    import torch

    whole = not (first.is_floating_point() or second.is_floating_point())
    return torch.div(first, second, rounding_mode="trunc" if whole else None)


def _expand(x: Any, shape: Any) -> Any:
    """Repeat along axes of length one; a shape's own ones keep what is there."""
    import torch

    return x.expand(torch.broadcast_shapes(x.shape, _ints(shape)))  # type: ignore[no-untyped-call, unused-ignore]


def _gather(given: Attributes, x: Any, places: Any) -> Any:
    """Take slices along one axis; negative places count from its end."""
    axis = given.get("axis", 0) % x.ndim
    flat = places.reshape(-1).long().remainder(x.shape[axis])
    # Not x[places]: a single place would be fetched from the device first.
    return x.index_select(axis, flat).reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _gather_elements(given: Attributes, x: Any, places: Any) -> Any:
    axis = given.get("axis", 0)
    return x.gather(axis, places.long().remainder(x.shape[axis]))


def _gelu(given: Attributes, x: Any) -> Any:
    from torch.nn import functional

    return functional.gelu(x, approximate=given.get("approximate", b"none").decode())


def _gemm(given: Attributes, a: Any, b: Any, c: Any = None) -> Any:
    """Return alpha A B + beta C, each of A and B transposed where it is said so."""
    product = (a.T if given.get("transA") else a) @ (b.T if given.get("transB") else b)
    product = product * given.get("alpha", 1.0)
    return product if c is None else product + c * given.get("beta", 1.0)


def _layer_norm(given: Attributes, x: Any, scale: Any, bias: Any = None) -> Any:
    from torch.nn import functional

    over = x.shape[given.get("axis", -1) :]
    return functional.layer_norm(x, over, scale, bias, given.get("epsilon", 1e-5))


def _pairwise(function: Operation, parts: tuple[Any, ...]) -> Any:
    found = parts[0]
    for part in parts[1:]:
        found = function(found, part)
    return found


def _range(given: Attributes, start: Any, limit: Any, step: Any) -> Any:
    import torch

    return torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype)


def _reduce(function: Operation, given: Attributes, x: Any, axes: Any) -> Any:
    """Reduce over some axes; over all where none is named, unless that means none."""
    over = [] if axes is None else _ints(axes)
    if not over:
        if given.get("noop_with_empty_axes"):
            return x
        over = list(range(x.ndim))
    return function(x, dim=over, keepdim=bool(given.get("keepdims", 1)))


def _reshape(given: Attributes, x: Any, shape: Any) -> Any:
    """Reshape; a zero keeps the length that is there, unless zeros are allowed."""
    wanted = _ints(shape)
    if not given.get("allowzero"):
        wanted = [x.shape[i] if length == 0 else length for i, length in enumerate(wanted)]
    return x.reshape(wanted)


def _slice(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    first, end = _ints(starts), _ints(ends)
    along = list(range(len(first))) if axes is None else _ints(axes)
    step = [1] * len(first) if steps is None else _ints(steps)
    cut = [slice(None)] * x.ndim
    for axis, a, b, s in zip(along, first, end, step, strict=True):
        cut[axis] = slice(a, b, s)
    return x[tuple(cut)]


def _squeeze(x: Any, axes: Any = None) -> Any:
    return x.squeeze() if axes is None else x.squeeze(tuple(_ints(axes)))


def _unsqueeze(x: Any, axes: Any) -> Any:
    wanted = _ints(axes)
    for axis in sorted(axis % (x.ndim + len(wanted)) for axis in wanted):
        x = x.unsqueeze(axis)
    return x
