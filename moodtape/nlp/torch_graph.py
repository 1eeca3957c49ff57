"""The graph of an ONNX file, run by torch one node after the other.

1. read   each node gets its torch function (`torch_operations.py`); an unknown one is refused
2. fold   nodes over constants run once: 8-bit weights become fp32
3. place  what the device reads goes there; with bf16, factors of matrix products are rounded
4. run    nodes that follow from the shape of the input alone run on the host, once for each
          shape; all others run on the device, and nothing waits for it before the answers
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from moodtape.errors import UnreadableFile, UsageError
from moodtape.nlp.export import OPSET
from moodtape.nlp.torch_operations import HOST, Operation, operations, refused

PRODUCT = "MatMul"
"""What bf16 is for. `Gemm` stays fp32: it is met once a text, where the answers are made."""

ADVICE = "Score with it on the CPU: --device cpu"

Tensors = dict[str, Any]


@dataclass(frozen=True)
class Node:
    """One step: a torch function, the names that it reads and the one that it gives.

    host: places among the inputs that are read as plain numbers: shapes, axes, bounds.
    on_host: what it gives follows from the shapes of the inputs alone.
    last: names that no later node reads.
    """

    kind: str
    operation: Operation
    inputs: tuple[str, ...]
    output: str
    host: tuple[int, ...]
    on_host: bool = False
    last: tuple[str, ...] = ()

    def host_inputs(self) -> set[str]:
        """Return the names that are read on the host."""
        return {n for i, n in enumerate(self.inputs) if self.on_host or i in self.host} - {""}

    def device_inputs(self) -> set[str]:
        """Return the names that are read on the device."""
        return {n for i, n in enumerate(self.inputs) if not (self.on_host or i in self.host)} - {""}


class TorchGraph:
    """Computes what an ONNX file says, on any device of torch.

    Args:
        model: the bytes of an ONNX file as `export.py` writes them.
        name: whose it is, for errors.
        device: as torch calls it.
        bf16: matrix products of activations take bf16 factors; sums and the rest stay fp32.
    Raises:
        UsageError: the graph holds an operation that is not known here.
        UnreadableFile: it is written in another version of the standard.
    """

    def __init__(self, model: bytes, name: str, device: str = "cpu", bf16: bool = False) -> None:
        import onnx
        import torch

        proto = onnx.load_from_string(model)
        versions = {(opset.domain, opset.version) for opset in proto.opset_import}
        if versions != {("", OPSET)}:
            raise UnreadableFile(f"{name}: expected ONNX opset {OPSET} alone, not {versions}.")
        constants: Tensors = {"": None} | {
            tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
            for tensor in proto.graph.initializer
        }
        self.device = torch.device(device)
        with torch.inference_mode():
            nodes = _sort(_fold(_read(proto.graph.node, name), constants), constants, name)
            self._host, self._there = _place(nodes, constants, self.device, bf16)
        self._nodes = [_in_bf16(node) if bf16 else node for node in nodes]
        self._of_shape: dict[tuple[Any, ...], tuple[Tensors, Tensors]] = {}

    def run(self, wanted: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """Return the outputs of these names, on the device, from input tensors on it."""
        import torch

        shape = tuple(tuple(tensor.shape) for tensor in inputs.values())
        known = self._of_shape.get(shape)
        host, there = known or (dict(self._host), dict(self._there))
        values, answers = {**there, **inputs}, {}
        with torch.inference_mode():
            for node in self._nodes:
                if not node.on_host:
                    values[node.output] = _compute(node, host, values)
                elif known is None:
                    host[node.output] = _compute(node, host, values)
                    values[node.output] = there[node.output] = host[node.output].to(self.device)
                if node.output in wanted:
                    answers[node.output] = values[node.output]
                for name in node.last:  # else every layer's numbers would be kept to the end
                    values.pop(name, None)
        self._of_shape[shape] = host, there
        return [answers[name] for name in wanted]


def _compute(node: Node, host: Tensors, values: Tensors) -> Any:
    """Return what a node gives; `Shape` alone asks a tensor of the device, for its shape."""
    read = node.host_inputs() if node.kind != "Shape" else set()
    return node.operation(*((host if n in read else values)[n] for n in node.inputs))


def _read(given: Iterable[Any], name: str) -> list[Node]:
    """Return the nodes of a graph with their torch functions."""
    import onnx

    table, nodes = operations(), []
    for node in given:
        outputs = [output for output in node.output if output]
        if node.domain or node.op_type not in table or len(outputs) != 1:
            kind = f"{node.domain}.{node.op_type}".lstrip(".")
            raise UsageError(f"{name} holds the operation {kind}, unknown on torch. {ADVICE}")
        told = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if odd := refused(node.op_type, told):
            raise UsageError(f"{name} holds {node.op_type} with {odd}, unknown on torch. {ADVICE}")
        nodes.append(
            Node(
                node.op_type, partial(table[node.op_type], told), tuple(node.input), outputs[0],
                HOST.get(node.op_type, ()),
            )
        )  # fmt: skip
    return nodes


def _fold(nodes: Sequence[Node], constants: Tensors) -> list[Node]:
    """Run the nodes over constants, adding what they give to these; return the others."""
    left = []
    for node in nodes:
        if constants.keys() >= set(node.inputs):
            constants[node.output] = node.operation(*(constants[n] for n in node.inputs))
        else:
            left.append(node)
    return left


def _sort(nodes: Sequence[Node], constants: Tensors, name: str) -> list[Node]:
    """Return the nodes, knowing which of them run on the host and what is read for the last time.

    Raises:
        UsageError: a shape would have to be fetched from the device.
    """
    known, done = set(constants), []
    for node in nodes:
        on_host = node.kind == "Shape" or known >= set(node.inputs)
        node = replace(node, on_host=on_host)
        if on_host:
            known.add(node.output)
        elif not known >= node.host_inputs():
            raise UsageError(
                f"{name} holds {node.kind} with a shape that depends on the text, unknown on"
                f" torch. {ADVICE}"
            )
        done.append(node)
    read: set[str] = {""}
    for place in reversed(range(len(done))):
        names = {*done[place].inputs, done[place].output} - read
        done[place] = replace(done[place], last=tuple(sorted(names)))
        read |= names
    return done


def _place(
    nodes: Sequence[Node], constants: Tensors, device: Any, bf16: bool
) -> tuple[Tensors, Tensors]:
    """Return the constants that are read on the host, and those on the device."""
    import torch

    host = set().union(*(node.host_inputs() for node in nodes))
    there = set().union(*(node.device_inputs() for node in nodes))
    others = set().union(*(n.device_inputs() for n in nodes if n.kind != PRODUCT))

    def moved(name: str) -> Any:
        rounded = bf16 and name not in others and constants[name].is_floating_point()
        return constants[name].to(device, torch.bfloat16 if rounded else None)

    return (
        {"": None, **{name: constants[name] for name in host & constants.keys()}},
        {"": None, **{name: moved(name) for name in there & constants.keys()}},
    )


def _in_bf16(node: Node) -> Node:
    """Return a matrix product that rounds its factors to bf16; any other node as it is."""
    import torch

    if node.kind != PRODUCT or node.on_host:
        return node

    def product(a: Any, b: Any) -> Any:
        return torch.matmul(a.to(torch.bfloat16), b.to(torch.bfloat16)).float()

    return replace(node, operation=product)
