"""Functions of tensors as CUDA graphs: all their kernels are launched at once, without Python in between.

A graph serves one shape. The long run has few of them, since batches are padded to a few sizes; a shape is
captured when it has come often enough to pay for it. With `compile`, torch's compiler fuses kernels first:
that takes minutes for a new model and size, and is read from its cache on disk the next time.
Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_map

CALLS_BEFORE_CAPTURE = 8
WINDOW_CALLS = 64  # among so many without a graph: shapes of first frames come once a video, now and then
MOST_GRAPHS = 8  # each holds its memory; and torch's compiler takes no more shapes of one function
WARM_UP_CALLS = 3  # kernels are chosen, and libraries set up, before the capture

log = logging.getLogger(__name__)


class Captured:
    """A function of tensors, called from one thread."""

    def __init__(self, function: Callable[..., Any], name: str, compile: bool):
        self.function = function
        self.recorded = torch.compile(function, dynamic=False) if compile else function
        self.name = name
        self._recent: deque[tuple] = deque(maxlen=WINDOW_CALLS)
        self._graphs: dict[tuple, Callable[..., Any]] = {}  # or the function, where none can be had

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Return what the function returns, in memory of its own."""
        shapes = tuple((x.shape, x.dtype) for x in inputs)
        if shapes not in self._graphs:
            self._recent.append(shapes)
            if self._is_worth_it(shapes):
                self._graphs[shapes] = self._capture(inputs)
        return self._graphs.get(shapes, self.function)(*inputs)

    def _is_worth_it(self, shapes: tuple) -> bool:
        return self._recent.count(shapes) > CALLS_BEFORE_CAPTURE and len(self._graphs) < MOST_GRAPHS

    def _capture(self, inputs: tuple[torch.Tensor, ...]) -> Callable[..., Any]:
        """Return a graph for these shapes, or the function where that fails: it is slower, no fault."""
        sizes = ", ".join("x".join(map(str, x.shape)) for x in inputs)
        started = time.monotonic()
        try:
            graph = _Graph(self.recorded, inputs)
        except (RuntimeError, torch.OutOfMemoryError) as error:
            log.warning("no graph of %s for %s, it goes on without: %s", self.name, sizes, error)
            return self.function
        log.info("captured %s for %s in %.1f s", self.name, sizes, time.monotonic() - started)
        return graph


class _Graph:
    """One recording, with memory that its inputs are copied to and its outputs appear in."""

    def __init__(self, function: Callable[..., Any], inputs: tuple[torch.Tensor, ...]):
        self.inputs = [x.clone(memory_format=torch.contiguous_format) for x in inputs]
        main, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(main)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_CALLS):
                function(*self.inputs)
        main.wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        # Other threads, which copy frames and masks, may go on meanwhile.
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.outputs = function(*self.inputs)

    def __call__(self, *inputs: torch.Tensor) -> Any:
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return tree_map(torch.clone, self.outputs)  # the next replay overwrites them
