"""What rounding does to the official predictor itself: it can't be asked of others to come nearer to it.

Where a mask hangs on a few pixels, the last bit of a sum decides it, and in the masks after it more and more.
Which scenes these are depends on the weights.
"""

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

import torch

LAST_BIT = 1e-7  # of a float32, as a share
TWINS = 8

Model = TypeVar("Model", bound=torch.nn.Module)


def twins(model: Model) -> Iterator[Model]:
    """Yield copies of a model, each weight of which is off by about its last bit."""
    for seed in range(TWINS):
        generator = torch.Generator().manual_seed(seed)
        twin: Any = copy.deepcopy(model)
        with torch.no_grad():
            for weight in twin.parameters():
                weight *= 1 + LAST_BIT * torch.randn(weight.shape, generator=generator)
        yield twin
