"""Several processes train one network: each takes its own steps, and now and then all go on from their mean.

This is local SGD (Stich, "Local SGD Converges Fast and Communicates Little", 2019) with Adam, whose moments
are averaged as well. Of two cores it makes more than two threads of one process do, whose steps are too
small to be parted. `python -m torch.distributed.run --nproc-per-node N -m tools.nano.train ...` starts them.
"""

import os
from collections.abc import Iterator

import torch
import torch.distributed as dist

from tools.nano.state import TrainingState

STEPS_APART = 10


class Team:
    """The processes of a training, of which this is one; without a launcher, the only one."""

    def __init__(self):
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.round_steps = STEPS_APART if self.size > 1 else 1
        if self.size > 1:
            dist.init_process_group("gloo")

    def any_says(self, this_one: bool) -> bool:
        """Return whether one of the processes says so; all of them must ask."""
        return bool(self._largest(float(this_one)))

    def average(self, state: TrainingState) -> None:
        """Let all processes have the mean of what they learnt, and the clock of the slowest."""
        if self.size == 1:
            return
        for tensor in _learnt(state):
            dist.all_reduce(tensor)
            tensor /= self.size
        state.seconds = self._largest(state.seconds)

    def _largest(self, value: float) -> float:
        if self.size == 1:
            return value
        values = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return float(values)

    def leave(self) -> None:
        """Part from the others when all have come here, so that none goes on before the state is stored."""
        if self.size > 1:
            dist.barrier()
            dist.destroy_process_group()


def _learnt(state: TrainingState) -> Iterator[torch.Tensor]:
    """Yield weights, Adam's moments, and the running mean of the weights."""
    for weight in state.network.parameters():
        yield weight.data
        yield from state.optimiser.state[weight].values()
    yield from state.average.values()
