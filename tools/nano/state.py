"""The state of a training: all that going on needs, in one file that is complete or absent.

Whatever is drawn at random is a function of seed and step (`tools.nano.batches`), so these two are the state
of all random generators.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.storage.files import complete_or_absent
from tools.nano.network import network_of, new_network

AVERAGE_DECAY = 0.999
BETAS, WEIGHT_DECAY = (0.9, 0.98), 0.03


@dataclass
class TrainingState:
    """A network on its way."""

    network: SAM2Base
    average: dict[str, torch.Tensor]  # exponential mean of the weights, fp32: what is evaluated and shipped
    optimiser: torch.optim.Optimizer
    seed: int
    step: int = 0
    seconds: float = 0.0  # spent in training, over all sittings
    history: list[dict[str, Any]] = field(default_factory=list)  # one entry a sitting: how it was called

    def average_weights(self) -> None:
        """Draw the mean towards the weights, faster at the beginning."""
        decay = min(AVERAGE_DECAY, (1 + self.step) / (10 + self.step))
        for name, tensor in self.network.state_dict().items():
            self.average[name].lerp_(tensor.detach(), 1 - decay)


def begin(weights: dict[str, torch.Tensor] | None, seed: int, device: str) -> TrainingState:
    """Return the state before the first step, from weights or from scratch."""
    return _around(network_of(weights) if weights else new_network(seed), seed, device)


def _around(network: SAM2Base, seed: int, device: str) -> TrainingState:
    network.to(device)
    average = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    # Biases, norms and single vectors, such as embeddings, do not decay.
    matrices = [weight for weight in network.parameters() if weight.ndim > 1 and min(weight.shape[:2]) > 1]
    chosen = {id(weight) for weight in matrices}
    others = [weight for weight in network.parameters() if id(weight) not in chosen]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=0.0, betas=BETAS)
    # Now, not with a weight's first gradient: all processes must have the same tensors to take the mean of.
    for weight in network.parameters():
        optimiser.state[weight] = {
            "step": torch.tensor(0.0),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }
    return TrainingState(network, average, optimiser, seed)


def save(state: TrainingState, path: Path) -> None:
    """Write the state, in place of the one that was there."""
    content = {
        "model": state.network.state_dict(),
        "average": state.average,
        "optimiser": state.optimiser.state_dict(),
        **{name: getattr(state, name) for name in ("seed", "step", "seconds", "history")},
    }
    with complete_or_absent(path) as partial:
        torch.save(content, partial)


def resume(path: Path, device: str) -> TrainingState:
    """Return the state in a file; going on from it does what would have been done without a stop."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    state = _around(network_of(content["model"]), content["seed"], device)
    state.average = {name: tensor.to(device) for name, tensor in content["average"].items()}
    state.optimiser.load_state_dict(content["optimiser"])
    state.step, state.seconds, state.history = content["step"], content["seconds"], content["history"]
    return state
