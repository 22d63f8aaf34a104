"""Train nano: python -m tools.nano.train --bank BANK --state STATE --until 20000|90m|2h [--init WEIGHTS] ...

Where STATE exists, training goes on from it, whatever else is said of a beginning. Ctrl-C and SIGTERM end the
step under way, store the state and end. --init, evaluate and export take its averaged weights.
"""

import argparse
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import torch

from tools.nano.bank_files import read_bank
from tools.nano.batches import Batch, Batches, Order, made
from tools.nano.network import load_weights, set_image_size
from tools.nano.progress_log import ProgressLog
from tools.nano.schedule import CURRICULA, Plan, learning_rate, parse_plan
from tools.nano.state import TrainingState, begin, resume, save
from tools.nano.together import Team
from tools.nano.unroll import Teaching, clip_terms, total_loss

LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Settings:
    """How to train."""

    bank: Path
    state: Path
    plan: Plan
    init: Path | None = None
    curriculum: str | None = None  # by default that of the last sitting or, at the beginning, one that fits
    seed: int = 0
    peak_rate: float = 5e-4
    device: str = "cpu"
    bf16: bool = False
    workers: int = 0
    save_seconds: float = 300.0
    log_seconds: float = 60.0


class Trainer:
    """Takes a state through its steps."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.state = _state_of(settings)
        self.curriculum = CURRICULA[self.state.history[-1]["curriculum"]]
        # After the state is read: processes meet here, so that none stores before all have read.
        self.team = Team()
        self.state.history[-1]["processes"] = self.team.size
        self.log = ProgressLog(settings.state.with_suffix(".log"), settings.log_seconds, self.team.rank == 0)

    def run(self, stopped: Callable[[], bool] = lambda: False) -> TrainingState:
        """Train until the plan is fulfilled or `stopped`; store the state now and then, and at the end."""
        settings, state, team = self.settings, self.state, self.team
        batches = made(
            Batches(read_bank(settings.bank).part(held_out=False), state.seed),
            self._orders(),
            settings.workers,
        )
        saved = time.monotonic()
        while self._progress() < 1 and not team.any_says(stopped()):
            for _ in range(team.round_steps):
                began = time.monotonic()
                self._step(next(batches))
                state.seconds += time.monotonic() - began
            team.average(state)
            if time.monotonic() - saved > settings.save_seconds:
                self._save()
                saved = time.monotonic()
        self._save()
        self.log.write(f"stored step {state.step}, {state.seconds:.0f} s in {settings.state}")
        team.leave()
        return state

    def _save(self) -> None:
        if self.team.rank == 0:
            save(self.state, self.settings.state)

    def _progress(self) -> float:
        return self.settings.plan.progress(self.state.step, self.state.seconds)

    def _orders(self) -> Iterator[Order]:
        """Yield the orders of all steps to come; those made ahead of time see the clock of that time."""
        for step in count(self.state.step):
            stage = self.curriculum.stage(self.settings.plan.progress(step, self.state.seconds))
            yield Order(step, self.team.rank, stage)

    def _step(self, batch: Batch) -> None:
        state, progress = self.state, self._progress()
        rate = learning_rate(self.settings.peak_rate, state.step, progress)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        state.optimiser.zero_grad(set_to_none=True)
        self._descend(batch, progress)
        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), LARGEST_GRADIENT)
        finite = math.isfinite(norm)
        self.log.add("skipped", torch.tensor(float(not finite)))
        if finite:  # else: one broken batch, which is left out
            state.optimiser.step()
            state.average_weights()
            self.log.add("gradient", norm.detach())
        state.step += 1
        self.log.end_step(state.step, state.seconds, batch.frames.shape[0] * batch.frames.shape[1], rate)

    def _descend(self, batch: Batch, progress: float) -> None:
        """Leave the gradient of a batch in the network."""
        curriculum, device = self.curriculum, self.settings.device
        teaching = Teaching(curriculum.stage(progress).told_share, curriculum.balance(progress))
        set_image_size(self.state.network, batch.frames.shape[2])
        with torch.autocast(device.partition(":")[0], torch.bfloat16, enabled=self.settings.bf16):
            terms = clip_terms(self.state.network, batch, device, teaching)
        loss = total_loss(terms)
        loss.backward()
        self.log.add("loss", loss.detach())
        self.log.add_terms(terms, batch.kind)


def _state_of(settings: Settings) -> TrainingState:
    """Return the stored state or a new one, with this sitting in its history."""
    if settings.state.exists():
        state = resume(settings.state, settings.device)
        usual = state.history[-1]["curriculum"]
    else:
        weights = load_weights(settings.init) if settings.init else None
        state = begin(weights, settings.seed, settings.device)
        usual = settings.device.partition(":")[0].replace("cuda", "gpu") + ("" if weights else "-scratch")
    sitting = {
        "from_step": state.step,
        "init": settings.init.name if settings.init and not state.step else None,
        "plan": asdict(settings.plan),
        "curriculum": settings.curriculum or usual,
        "peak_rate": settings.peak_rate,
        "device": settings.device,
    }
    state.history.append(sitting)
    return state


def stopped_by_signal() -> Callable[[], bool]:
    """Return what says whether SIGINT or SIGTERM came."""
    came: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: came.append(number))
    return lambda: bool(came)


def parse() -> tuple[Settings, int]:
    """Return settings and number of threads from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bank", type=Path, required=True, help="folder that tools.nano.bank wrote")
    parser.add_argument(
        "--state", type=Path, required=True, help="file to store the state in, and to go on from"
    )
    parser.add_argument(
        "--until", type=parse_plan, required=True, help="steps (20000) or time (3600s, 90m, 2h), in all"
    )
    parser.add_argument("--init", type=Path, help="weights to begin with; without, from scratch")
    parser.add_argument(
        "--curriculum", choices=CURRICULA, help="default: the last one, or by device and --init"
    )
    parser.add_argument("--rate", type=float, default=5e-4, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=0, help="processes that make clips; 0: none but this")
    parser.add_argument("--threads", type=int, default=1, help="of torch on a CPU")
    parser.add_argument("--save-minutes", type=float, default=5.0)
    given = parser.parse_args()
    settings = Settings(
        given.bank,
        given.state,
        given.until,
        given.init,
        given.curriculum,
        given.seed,
        given.rate,
        given.device,
        bf16=given.device.startswith("cuda"),
        workers=given.workers,
        save_seconds=given.save_minutes * 60,
    )
    return settings, given.threads


def main() -> None:
    settings, threads = parse()
    torch.set_num_threads(threads)
    settings.state.parent.mkdir(parents=True, exist_ok=True)
    Trainer(settings).run(stopped_by_signal())


if __name__ == "__main__":
    main()
