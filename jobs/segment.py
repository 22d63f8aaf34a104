"""Segment every prompted object of a manifest: `python -m jobs.segment manifest=URI run=OUT`."""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from typing import Any

from jobs.edge import run_job
from pipeline.engine.config import EngineConfig, TrackingConfig
from pipeline.errors import StorageError
from pipeline.inputs.frames import FramesConfig
from pipeline.inputs.manifest import ManifestConfig
from pipeline.inputs.source import SourceConfig
from pipeline.outputs.checkpoints import CheckpointConfig, last_stored_frame
from pipeline.records import Shard, ShardReport, ShardStatus
from pipeline.runners.config import RunnerChoice, RunnerConfig
from pipeline.runners.local import run_local
from pipeline.runners.progress import MAX_QUARANTINED_SHOWN, Progress
from pipeline.runners.ray import run_on_ray
from pipeline.stages.extractor import load_extractor
from pipeline.stages.model import ModelConfig
from pipeline.stages.objects import IdentityConfig, write_objects
from pipeline.stages.plan import PlanConfig, make_plan
from pipeline.stages.revision import keep_unchanged
from pipeline.stages.segment import SegmentStage
from pipeline.stages.segment_config import SegmentConfig
from pipeline.stages.summary import write_videos
from pipeline.storage.store import StorageConfig
from pipeline.storage.uris import shown, without_secrets
from pipeline.work.attempts import RetryConfig, exit_code
from pipeline.work.commits import OnChange, finished
from pipeline.work.epochs import DriverConfig, claim, refuse_careless_store, refuse_foreign_folder, reigning
from pipeline.work.fingerprints import digest_of
from pipeline.work.ledger import Ledger
from pipeline.work.quarantine import give_up, given_up
from pipeline.work.run_folder import RunFolder
from pipeline.work.shards import remaining

logger = logging.getLogger(__name__)


@dataclass
class JobConfig:
    """All of a run."""

    manifest: str
    run: str
    model: ModelConfig = field(default_factory=ModelConfig)
    smaller_model: ModelConfig | None = None  # for shards that `model` has no memory for, even alone
    engine: EngineConfig = field(default_factory=EngineConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    source: SourceConfig = field(default_factory=SourceConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    check: ManifestConfig = field(default_factory=ManifestConfig)
    plan: PlanConfig = field(default_factory=PlanConfig)
    runner: RunnerConfig = field(default_factory=RunnerConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    driver: DriverConfig = field(default_factory=DriverConfig)
    on_change: OnChange = OnChange.fail  # where masks in the run folder are of other inputs or config
    retry_quarantined: bool = False  # try again what an earlier run gave up
    log_every_seconds: float = 30.0

    @property
    def segment(self) -> SegmentConfig:
        """What of it the workers need."""
        return SegmentConfig(**{each.name: getattr(self, each.name) for each in fields(SegmentConfig)})


def main(config: JobConfig) -> int:
    """Do what is not done yet, and return the exit code."""
    # First, since looking at all videos takes a while.
    run = RunFolder.of(config.run, config.storage)
    logger.info("run folder: %s", run.root)
    refuse_careless_store(run, config.storage)
    refuse_foreign_folder(run)
    if config.identity.extractor is not None:
        load_extractor(config.identity.extractor)  # or each worker would find out by itself
    shards = make_plan(config.manifest, config.check, config.plan, config.segment)
    epoch = claim(run, config.driver)
    with reigning(run, epoch, config.driver):
        return _run(config, run, shards, epoch.number)


def _run(config: JobConfig, run: RunFolder, shards: Sequence[Shard], epoch: int) -> int:
    done = finished(run, shards, config.on_change, keep_unchanged)
    quarantined = given_up(run, shards, done, config.retry_quarantined)
    open_shards = remaining(shards, done | quarantined)
    run.write_json(run.about, {"config": _shown(config), "versions": _versions(), "shards": len(shards)})
    logger.info(
        "%d shards: %d done before, %d quarantined before, %d to do",
        *(len(shards), len(done), len(quarantined), len(open_shards)),
    )
    for record in islice(run.read_all("quarantine"), MAX_QUARANTINED_SHOWN):
        logger.info("quarantined before: %s, %s", record["shard_id"], record["problem"]["message"])
    if run.store.size_bytes(run.videos) is None:  # for those who look at the run while it goes on
        write_videos(run, shards)
    quarantined |= _do(config, run, open_shards, epoch, whole=shards)
    if quarantined:
        logger.info(
            "%d of %d shards are quarantined (%g of them are allowed to be, retry.max_failed_fraction); "
            "%s/quarantine says why, and retry_quarantined=true tries them again",
            *(len(quarantined), len(shards), config.retry.max_failed_fraction, run.root),
        )
    return exit_code(len(quarantined), len(shards), config.retry)


def _do(
    config: JobConfig, run: RunFolder, open_shards: Sequence[Shard], epoch: int, whole: Sequence[Shard]
) -> set[str]:
    """Do the open shards, and return the ids of those given up; the table of videos is of the whole run."""
    quarantined = set()
    ledger = Ledger(run, config.retry, epoch, open_shards)
    try:
        for report in _reports(config, open_shards, ledger):
            if report.status is ShardStatus.QUARANTINED and not run.superseded(epoch):
                shard = next(shard for shard in open_shards if shard.id == report.shard_id)
                if give_up(run, shard, report, _last_stored_frame(run, shard)):
                    quarantined.add(shard.id)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            logger.info("stopped; the same command goes on from what is stored")
        with suppress(StorageError, OSError):  # or it would hide what happened first
            _summarize(run, whole, epoch)
        raise
    _summarize(run, whole, epoch)
    logger.info("masks: %s/masks; one row a video: %s/%s", run.root, run.root, run.videos)
    return quarantined


def _summarize(run: RunFolder, shards: Sequence[Shard], epoch: int) -> None:
    """Write the tables of videos and objects, unless another driver has taken the run over: they are its."""
    if not run.superseded(epoch):
        videos = write_videos(run, shards)
        logger.info("videos: %s", dict(Counter(videos["status"].to_pylist())))
        write_objects(run)


def _reports(config: JobConfig, shards: Sequence[Shard], ledger: Ledger) -> Iterator[ShardReport]:
    """Run the shards with the chosen runner, showing how far they are."""
    if not shards:
        return
    make_stage = partial(SegmentStage, config.segment, ledger.run.root)
    with Progress(shards, config.log_every_seconds) as progress:
        hopeless = ledger.hopeless()
        for report in hopeless:
            progress.finish(report)
            yield report
        shards = remaining(shards, {report.shard_id for report in hopeless})
        if config.runner.name is RunnerChoice.local:
            yield from run_local(make_stage, shards, ledger, progress, config.runner.grace_seconds)
        else:
            yield from run_on_ray(make_stage, shards, ledger, progress, config.runner)


def _shown(config: JobConfig) -> dict[str, Any]:
    """Return the configuration without secrets in its URIs."""
    shown_config = replace(config, manifest=shown(config.manifest), run=shown(config.run))
    return json.loads(without_secrets(json.dumps(asdict(shown_config), default=str)))


def _last_stored_frame(run: RunFolder, shard: Shard) -> int | None:
    return last_stored_frame(run.store, run.attempts(shard.id), digest_of(shard.fingerprint))


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("sam2-batch", "torch", "rf-sam-2", "ray", "av", "numpy")}


if __name__ == "__main__":
    run_job("segment", JobConfig, main)
