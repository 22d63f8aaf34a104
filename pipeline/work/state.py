"""How far a run is, by what its folder holds: for whoever looks in from outside while it goes on."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.work.epochs import Epoch, newest_epoch
from pipeline.work.ledger import furthest_checkpoint
from pipeline.work.run_folder import RunFolder


@dataclass(frozen=True)
class RunState:
    """What is stored of a run's shards."""

    shards: int
    done: int
    quarantined: int
    next_frames: dict[str, int]  # of shards begun and not done, by id: where their checkpoints have come to
    driver: Epoch | None  # the newest
    has_ended: bool  # that driver has, and said so


def state_of(run: RunFolder) -> RunState | None:
    """Return the state of a run, or None where no run has begun."""
    (about,) = run.read_json([run.about])
    if about is None:
        return None
    driver = newest_epoch(run)
    done, quarantined = _shard_ids(run, "_commit"), _shard_ids(run, "quarantine")
    return RunState(
        shards=about["shards"],
        done=len(done),
        quarantined=len(quarantined - done),
        next_frames=_next_frames(run.store.sizes("_work"), done | quarantined),
        driver=driver,
        has_ended=driver is None or run.has_ended(driver.number),
    )


def _shard_ids(run: RunFolder, folder: str) -> set[str]:
    names = (name.rpartition("/")[2] for name in run.store.sizes(folder))
    return {name.removesuffix(".json") for name in names if name.endswith(".json")}


def _next_frames(names: Iterable[str], settled: set[str]) -> dict[str, int]:
    files_of: dict[str, list[str]] = {}
    for name in names:
        files_of.setdefault(name.split("/")[1], []).append(name)
    return {shard: furthest_checkpoint(files) for shard, files in files_of.items() if shard not in settled}
