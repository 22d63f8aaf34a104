"""Make plain matrix products of the sam2 package's layers; all in fp32, before any cast."""

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_utils import LayerNorm2d
from torch import nn


def linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    """Return a layer of given weights, (out, in) and (out,)."""
    assert bias is not None  # SAM 2 has no layer without; torch's types allow it
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
    layer.bias = nn.Parameter(bias.detach().contiguous(), requires_grad=False)
    return layer


def pointwise(conv: nn.Conv2d) -> nn.Linear:
    """Return a 1 x 1 convolution as a layer over channels that come last."""
    return linear(conv.weight.flatten(1), conv.bias)


def chained(first: nn.Linear, second: nn.Linear) -> nn.Linear:
    """Return `second(first(x))` as one layer."""
    return linear(second.weight @ first.weight, second.weight @ first.bias + second.bias)


def unfolding(conv: nn.ConvTranspose2d) -> nn.Linear:
    """Return an upsampling without overlap as a layer from a token to its (2 * 2 * channel) tokens."""
    rows, columns = conv.kernel_size
    assert conv.bias is not None
    return linear(conv.weight.permute(2, 3, 1, 0).flatten(0, 2), conv.bias.repeat(rows * columns))


class FeedForward(nn.Sequential):
    """Two layers with an activation between them."""

    def __init__(self, first: nn.Linear, activation: nn.Module, second: nn.Linear):
        super().__init__(first, activation, second)


class ChannelNorm(nn.Module):
    """`LayerNorm2d` in one operation, for (.., channel, height, width) whose channels lie last in memory."""

    def __init__(self, official: LayerNorm2d):
        super().__init__()
        self.weight, self.bias, self.eps = official.weight, official.bias, official.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)


class NarrowNorm(nn.Module):
    """`LayerNorm2d` after a convolution whose outputs have no mean over channels; for few channels.

    Where there are only 4 or 16, the operation for many channels spends its time on setting out.
    """

    def __init__(self, official: LayerNorm2d):
        super().__init__()
        self.weight = nn.Parameter(official.weight[:, None, None], requires_grad=False)
        self.bias = nn.Parameter(official.bias[:, None, None], requires_grad=False)
        self.eps = official.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = (x * x).mean(1, keepdim=True).add_(self.eps).rsqrt_()
        return torch.addcmul(self.bias, x * scale, self.weight)


def without_mean(conv: nn.Conv2d) -> nn.Conv2d:
    """Return a convolution that subtracts the mean over its outputs' channels; takes over `conv`."""
    assert conv.bias is not None
    conv.weight = nn.Parameter(conv.weight - conv.weight.mean(0), requires_grad=False)
    conv.bias = nn.Parameter(conv.bias - conv.bias.mean(), requires_grad=False)
    return conv


def channels_last(conv: nn.Conv2d) -> nn.Conv2d:
    """Lay a convolution's weights out for inputs whose channels lie last in memory; takes over `conv`."""
    weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    return conv
