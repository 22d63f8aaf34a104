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


def _packed_mlp(layers: Sequence[Any], activation: nn.Module) -> nn.Sequential:
    *inner, last = layers
    return nn.Sequential(*(PackedLinear(layer, activation) for layer in inner), PackedLinear(last))


class PackedLinear(nn.Module):
    """A linear layer, and the activation after it."""

    def __init__(self, layer: nn.Linear, activation: nn.Module | None = None):
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach())
        self.bias = layer.bias
        self.activation, self.form = ACTIVATIONS[type(activation)] if activation else ("none", "")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], self.form)
