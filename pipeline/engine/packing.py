"""Pack the weights of matrix products for the CPU, with what follows them in the same kernel.

These are oneDNN's operators as torch's own compiler calls them when it freezes a model; without the
compiler they save the unpacking of weights at every call, and passes over the results.
"""

from collections.abc import Sequence
from typing import Any

import torch
from sam2.modeling.sam2_utils import MLP
from torch import nn

from pipeline.engine.folding import FeedForward

ACTIVATIONS = {nn.GELU: ("gelu", "none"), nn.ReLU: ("relu", "")}  # with how oneDNN computes them


def can_pack(dtype: torch.dtype) -> bool:
    """Say whether oneDNN is there and computes in this type on this CPU."""
    if not torch.backends.mkldnn.is_available():
        return False
    supported = {
        torch.float32: lambda: True,
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    return supported[dtype]()


def pack(module: nn.Module) -> None:
    """Replace all linear layers of a module that lies on a CPU, for inference only."""
    children: list[tuple[str, Any]] = list(module.named_children())
    for name, child in children:
        if isinstance(child, nn.Linear):
            setattr(module, name, PackedLinear(child))
        elif isinstance(child, MLP) and not child.sigmoid_output:
            setattr(module, name, _packed_mlp(list(child.layers), child.act))
        elif isinstance(child, FeedForward):
            setattr(module, name, _packed_mlp([child[0], child[2]], child[1]))
        else:
            pack(child)


def _packed_mlp(layers: Sequence[Any], activation: nn.Module) -> "PackedMLP":
    *inner, last = layers
    return PackedMLP([PackedLinear(layer, activation) for layer in inner], PackedLinear(last))


class PackedLinear(nn.Module):
    """A linear layer, and the activation after it."""

    def __init__(self, layer: nn.Linear, activation: nn.Module | None = None):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())
        self.bias = layer.bias
        self.activation, self.form = ACTIVATIONS[type(activation)] if activation else ("none", "")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], self.form)

    def added_to(self, shortcut: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise.binary(x, shortcut, self.weight, self.bias, "add")


class PackedMLP(nn.Module):
    """Linear layers, an activation after each but the last."""

    def __init__(self, inner: Sequence[PackedLinear], last: PackedLinear):
        super().__init__()
        self.inner, self.last = nn.Sequential(*inner), last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.inner(x))

    def added_to(self, shortcut: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.last.added_to(shortcut, self.inner(x))


def add_output(shortcut: torch.Tensor, layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return `shortcut + layer(x)`, the sum within the layer's kernel where it is packed."""
    if isinstance(layer, PackedLinear | PackedMLP):
        return layer.added_to(shortcut.contiguous(), x)
    return shortcut + layer(x)
