"""A line a minute: where a training is, how fast, and running means of what it does."""

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline.inputs.manifest_write import PromptKind
from tools.nano.unroll import Term


class ProgressLog:
    """Collects measures between two lines and writes a line when its time has come."""

    def __init__(self, path: Path, every_seconds: float, speaks: bool = True):
        self.path = path
        self.every_seconds = every_seconds
        self.speaks = speaks  # false: of several processes, another one writes
        self._restart()

    def _restart(self) -> None:
        self.sums: dict[str, float] = defaultdict(float)
        self.counts: dict[str, int] = defaultdict(int)
        self.since, self.steps, self.clip_frames = time.monotonic(), 0, 0

    def add(self, name: str, values: torch.Tensor) -> None:
        self.sums[name] += float(values.sum())
        self.counts[name] += values.numel()

    def add_terms(self, terms: Sequence[Term], kind: PromptKind) -> None:
        """Take in the J of each kind of prompt, that of later frames, and what is said of absence."""
        for term in terms:
            loss = term.loss
            name = "corrected" if term.corrected else "tracked" if term.frame else kind.value
            self.add(f"J_{name}", loss.iou[loss.visible])
            if term.frame:
                self.add("absent_seen", ~loss.judged_visible[~loss.visible])
                self.add("lost", ~loss.judged_visible[loss.visible])

    def end_step(self, step: int, seconds: float, clip_frames: int, rate: float) -> None:
        """Count a step, and write a line if the last one is long ago."""
        self.steps += 1
        self.clip_frames += clip_frames
        spent = time.monotonic() - self.since
        if spent >= self.every_seconds:
            means = " ".join(
                f"{name} {self.sums[name] / count:.3f}"
                for name, count in sorted(self.counts.items())
                if count
            )
            speed = f"{self.steps / spent:.2f} steps/s {self.clip_frames / spent:.1f} frames/s"
            self.write(f"step {step} {seconds:.0f} s {speed} lr {rate:.1e} {means}")
            self._restart()

    def write(self, line: str) -> None:
        if not self.speaks:
            return
        line = time.strftime("%Y-%m-%d %H:%M:%S ") + line
        print(line, flush=True)
        with self.path.open("a") as file:
            file.write(line + "\n")
