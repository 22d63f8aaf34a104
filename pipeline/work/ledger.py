"""What was tried of each shard, by this driver and by those before it, and what follows.

In an attempt's folder the worker says that it begins, and the driver how it failed:

    begun.json      fingerprint of the shard, host and process of the worker
    ended.json      fingerprint and class of the fault

An attempt without an end is one whose worker and driver both went away.
"""

import logging
import os
import re
import socket
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from pipeline.errors import FaultClass, StorageError
from pipeline.records import Attempt, Problem, Shard, ShardReport, ShardStatus
from pipeline.storage.workspace import Workspace
from pipeline.work.attempts import (
    NOT_OF_THE_SHARD,
    Decision,
    RetryConfig,
    Tried,
    decide,
    pause_seconds,
)
from pipeline.work.fingerprints import digest_of
from pipeline.work.run_folder import RunFolder, as_json

BEGUN, ENDED = "begun.json", "ended.json"
CHECKPOINT = re.compile(r"checkpoint-(\d+)\.json")

logger = logging.getLogger(__name__)


class Ledger:
    """Counts attempts, in storage too, so that whoever comes next knows them."""

    def __init__(self, run: RunFolder, config: RetryConfig, epoch: int, shards: Iterable[Shard]):
        """Read what earlier drivers tried of these shards.

        Args:
            epoch: This driver's, which no other has.
        """
        self.run, self.config, self.epoch = run, config, epoch
        self._shards = {shard.id: shard for shard in shards}
        self._tried: dict[str, list[Tried]] = defaultdict(list)
        self._tried.update(_read_history(run, self._shards))
        self._begun: dict[str, int] = defaultdict(int)  # by this driver

    def begin(self, shard: Shard) -> Attempt:
        """Return a new attempt at a shard."""
        self._begun[shard.id] += 1
        name = f"{self.epoch:06d}.{self._begun[shard.id]:03d}"
        tried = self._tried[shard.id]
        memory_was_full = any(one.fault_class is FaultClass.OOM_GPU for one in tried)
        return Attempt(name, len(tried) + 1, self.epoch, memory_was_full)

    def settle(self, report: ShardReport, attempt: Attempt) -> ShardReport | None:
        """Take note of how an attempt ended; return the shard's final report, or None to try it again.

        Raises:
            StorageError: The run has to stop.
        """
        if report.problem is None:
            return report
        tried = self._tried[report.shard_id]
        self._note(report, attempt)
        match decide(tried, self.config):
            case Decision.RETRY:
                return None
            case Decision.QUARANTINE:
                return replace(report, status=ShardStatus.QUARANTINED)
            case Decision.STOP:
                raise StorageError(
                    f"shard {report.shard_id}: storage failed again and again, "
                    f"the last time with: {report.problem.message}"
                )

    def pause_seconds(self, shard: Shard) -> float:
        """Return how long to wait before the next attempt at a shard."""
        return pause_seconds(self._tried[shard.id])

    def hopeless(self) -> list[ShardReport]:
        """Return a final report of each shard that earlier drivers tried as often as is allowed."""
        return [
            _report_of_history(self._shards[shard_id], tried)
            for shard_id, tried in self._tried.items()
            if tried and decide(tried, self.config) is Decision.QUARANTINE
        ]

    def _note(self, report: ShardReport, attempt: Attempt) -> None:
        """Remember an attempt, in storage as far as that is to be had."""
        shard, problem = self._shards[report.shard_id], report.problem
        assert problem is not None
        folder = self.run.attempts(shard.id)
        next_frame = 0
        with suppress(StorageError, OSError):
            next_frame = furthest_checkpoint(self.run.store.sizes(f"{folder}/{attempt.name}"))
            ended = {
                "fingerprint": digest_of(shard.fingerprint),
                "fault_class": problem.fault_class.value,
                "message": problem.message,
            }
            self.run.store.write(f"{folder}/{attempt.name}/{ENDED}", as_json(ended))
        self._tried[shard.id].append(Tried(problem.fault_class, next_frame, problem.message))


def note_begin(workspace: Workspace, shard: Shard) -> None:
    """Let whoever comes next know that an attempt began, whatever becomes of it."""
    begun = {"fingerprint": digest_of(shard.fingerprint), "host": socket.gethostname(), "pid": os.getpid()}
    workspace.write(BEGUN, as_json(begun))


def forget_history(run: RunFolder, shard_id: str) -> None:
    """Let a shard be tried as if for the first time; what its attempts have stored stays of use."""
    for name in run.store.sizes(run.attempts(shard_id)):
        if name.endswith((BEGUN, ENDED)):
            run.store.remove(name)


def _read_history(run: RunFolder, shards: dict[str, Shard]) -> dict[str, list[Tried]]:
    """Return what was tried, oldest first, by shard id; attempts at other inputs do not count."""
    names_of: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in run.store.sizes("_work"):
        _, shard_id, attempt, *_ = name.split("/")
        if shard_id in shards:
            names_of[shard_id, attempt].append(name)
    folders = [(shard, attempt, f"_work/{shard}/{attempt}") for shard, attempt in sorted(names_of)]
    begun = run.read_json([f"{folder}/{BEGUN}" for *_, folder in folders])
    ended = run.read_json([f"{folder}/{ENDED}" for *_, folder in folders])
    tried: dict[str, list[Tried]] = defaultdict(list)
    for (shard_id, attempt, _), begin, end in zip(folders, begun, ended, strict=True):
        said = end or begin
        if said is None or said["fingerprint"] != digest_of(shards[shard_id].fingerprint):
            continue
        fault_class = FaultClass(end["fault_class"]) if end else FaultClass.WORKER_LOST
        if fault_class not in NOT_OF_THE_SHARD:
            next_frame = furthest_checkpoint(names_of[shard_id, attempt])
            message = end["message"] if end else "its worker and its driver went away"
            tried[shard_id].append(Tried(fault_class, next_frame, message))
    return tried


def furthest_checkpoint(names: Iterable[str]) -> int:
    """Return the next frame of the furthest checkpoint among stored files, 0 if there is none."""
    found = [CHECKPOINT.fullmatch(name.rpartition("/")[2]) for name in names]
    return max((int(match[1]) for match in found if match), default=0)


def _report_of_history(shard: Shard, tried: Sequence[Tried]) -> ShardReport:
    fault_class = tried[-1].fault_class
    return ShardReport(
        shard_id=shard.id,
        video_id=shard.video_id,
        status=ShardStatus.QUARANTINED,
        objects=len(shard.object_ids),
        attempts=len(tried),
        problem=Problem(
            fault_class,
            f"{len(tried)} attempts of earlier drivers came to nothing, the last: {tried[-1].message}",
        ),
    )
