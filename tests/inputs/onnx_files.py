"""ONNX files that always answer the same, written by hand: the package `onnx` is not needed for that."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

FLOAT = 1


def write_model(path: Path, outputs: Mapping[str, np.ndarray], input_shape: tuple[int, ...]) -> Path:
    """Write a network that takes `images` and returns these outputs, whatever it is given.

    Field numbers are those of onnx.proto: ModelProto 1 ir_version, 7 graph, 8 opset_import; GraphProto
    1 node, 2 name, 11 input, 12 output.
    """
    nodes = b"".join(_field(1, _constant(name, np.float32(value))) for name, value in outputs.items())
    declared = b"".join(_field(12, _value(name, value.shape)) for name, value in outputs.items())
    graph = nodes + _field(2, b"fixed") + _field(11, _value("images", input_shape)) + declared
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 17)))
    return path


def _constant(name: str, value: np.ndarray) -> bytes:
    dims = b"".join(_field(1, side) for side in value.shape)
    tensor = dims + _field(2, FLOAT) + _field(9, value.tobytes())
    attribute = _field(1, b"value") + _field(5, tensor) + _field(20, 4)  # 4: a tensor
    return _field(2, name.encode()) + _field(4, b"Constant") + _field(5, attribute)


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_field(1, _field(1, side)) for side in shape)
    tensor_type = _field(1, FLOAT) + _field(2, dims)
    return _field(1, name.encode()) + _field(2, _field(1, tensor_type))


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return struct.pack(f"{len(groups) + 1}B", *groups, value)
