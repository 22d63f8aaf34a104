"""One shard from start to end, on any machine, without a cluster: video and prompts in, table out."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch

from pipeline.engine.appearance import note_sightings
from pipeline.engine.cpu_tuning import use_one_thread
from pipeline.engine.engine import Engine
from pipeline.engine.frame_step import FrameOutput
from pipeline.engine.sam2_model import build_model
from pipeline.engine.shared_engine import SharedEngine
from pipeline.engine.state import VideoState
from pipeline.errors import RunInUse, WeightsError
from pipeline.failpoints import reach
from pipeline.inputs.weights import read_weights
from pipeline.outputs.checkpoints import (
    CheckpointConfig,
    drop_checkpoints,
    kept_files,
    span_between,
    take_over_newest,
)
from pipeline.outputs.mask_table import rows_of
from pipeline.outputs.quality import QualityConfig
from pipeline.outputs.quality_table import drift_flags
from pipeline.records import Attempt, Direction, Shard, ShardReport, ShardStatus
from pipeline.stages.corrections import Corrections
from pipeline.stages.gpu_memory import GpuMemoryWatch
from pipeline.stages.model import find_weights
from pipeline.stages.objects import Describer
from pipeline.stages.on_frames import OnFrames
from pipeline.stages.prompted_frames import first_frames, placed, refuse_clashes
from pipeline.stages.prompting import Prompting
from pipeline.stages.segment_config import SegmentConfig
from pipeline.stages.shard_video import ShardVideo
from pipeline.stages.span_log import SpanLog, written_by_the_other_pass
from pipeline.stages.video_identity import identified, seen_before
from pipeline.storage.uris import shown
from pipeline.storage.workspace import Workspace
from pipeline.work.commits import TABLE, Marker, commit
from pipeline.work.fingerprints import digest_of
from pipeline.work.ledger import note_begin
from pipeline.work.run_folder import RunFolder

logger = logging.getLogger(__name__)


class Begun(NamedTuple):
    """A shard under way: its past, and what it has done."""

    state: VideoState
    log: SpanLog


class SegmentStage:
    """Holds the model; called once a shard and attempt, for several shards at a time from as many threads."""

    def __init__(self, config: SegmentConfig, run: str, stands_in: bool = False, cores: int | None = None):
        """Load the model.

        Args:
            run: URI of the run folder.
            stands_in: The model is a smaller one than the run was planned with.
            cores: Of a CPU to compute with; as many as this thread may use by default.
        """
        weights, self.weights_sha256 = find_weights(config.model)
        self.config = config
        self.cores = cores or torch.get_num_threads()
        self.engine = SharedEngine(partial(_make_engine, config, weights), self.cores)
        self.shards_at_once = self.engine.videos_in_flight
        self.prompting = Prompting(self.engine, config)
        self.run = RunFolder.of(run, config.storage)
        self.stands_in = stands_in

    def __call__(self, shard: Shard, attempt: Attempt, on_frames: OnFrames) -> ShardReport:
        """Segment the shard, going on from the last checkpoint of an earlier attempt, and commit it."""
        try:
            return self._segment(shard, attempt, on_frames)
        except torch.OutOfMemoryError:
            if self.config.smaller_model is None or not attempt.memory_was_full:
                raise  # the next attempt has the device for itself
            logger.warning("shard %s: %s takes over", shard.id, self.config.smaller_model.name)
        return self._smaller(shard, attempt, on_frames)

    @cached_property
    def _smaller(self) -> "SegmentStage":
        """The same stage with the model that is to stand in; it is loaded when it is first wanted."""
        assert self.config.smaller_model is not None
        config = replace(self.config, model=self.config.smaller_model, smaller_model=None)
        return SegmentStage(config, self.run.root, stands_in=True, cores=self.cores)

    def close(self) -> None:
        """End the engine's threads, and let go of the model."""
        self.engine.close()

    def _segment(self, shard: Shard, attempt: Attempt, on_frames: OnFrames) -> ShardReport:
        started = time.monotonic()
        use_one_thread()
        self._check_weights(shard)
        shard = identified(shard, self.config.source)
        with (
            self.run.attempt(shard.id, attempt.name) as workspace,
            seen_before(shard, self.config.source, lambda: on_frames(None)) as path,
        ):
            note_begin(workspace, shard)
            video = self._video(path, on_frames)
            with closing(video.times()) as times:
                prompts, num_frames = placed(times, shard.prompts)
            refuse_clashes(prompts, shard.direction)
            shard = replace(shard, prompts=tuple(prompts))
            begun = self._resume(shard, workspace) or self._begin(shard, num_frames, workspace, on_frames)
            with begun.log:
                done_before = begun.state.frames_done
                gpu_memory_share = self._propagate(shard, video, begun, on_frames)
                report = ShardReport(
                    shard_id=shard.id,
                    video_id=shard.video_id,
                    status=ShardStatus.DONE,
                    objects=len(shard.object_ids),
                    frames=begun.state.frames_done,
                    frames_computed=begun.state.frames_done - done_before,
                    seconds=time.monotonic() - started,
                    attempts=attempt.number,
                    gpu_memory_share=gpu_memory_share,
                )
                about = (self.config.identity, self.weights_sha256, begun.state, path, self.config.frames)
                describer = Describer(*about, lambda: on_frames(None))
                self._commit(shard, attempt, begun, report, describer)
        return report

    def _check_weights(self, shard: Shard) -> None:
        """Refuse a shard that was planned with other weights than this machine has."""
        planned = shard.fingerprint.get("weights", self.weights_sha256)
        if planned != self.weights_sha256 and not self.stands_in:
            raise WeightsError(
                f"weights here have SHA-256 {self.weights_sha256}, the run was planned with {planned}; "
                "empty model.cache_dir on the machine whose file is wrong"
            )

    def _resume(self, shard: Shard, workspace: Workspace) -> Begun | None:
        found = take_over_newest(
            *(self.run.attempts(shard.id), workspace, self._state_fingerprint(shard)),
            self._checkpoint(shard).keep_every_frames,
        )
        if found is None:
            return None
        checkpoint, tensors = found
        state = VideoState.from_tensors(tensors, self.engine.engine.state_device)
        return Begun(state, self._span_log(shard, workspace, checkpoint.spans, state))

    def _begin(self, shard: Shard, num_frames: int, workspace: Workspace, on_frames: OnFrames) -> Begun:
        drop_checkpoints(workspace)  # of another model, or damaged
        starts = first_frames(shard.prompts).values()
        first = min(starts) if shard.direction is Direction.FORWARD else max(starts)
        state = VideoState(num_frames, first, first_frame=first, direction=shard.direction)
        self.prompting.give_references(shard, state, lambda path: self._video(path, on_frames))
        return Begun(state, self._span_log(shard, workspace, {}, state))

    def _propagate(self, shard: Shard, video: ShardVideo, begun: Begun, on_frames: OnFrames) -> float:
        """Carry the objects along the frames; what was stored before is not computed again.

        Returns:
            The highest share of the GPU's memory that was taken, 0 to 1.
        """
        state, log = begun
        on_frames(state.frames_done)
        watch = GpuMemoryWatch(self.config.checkpoint.early_at_gpu_share)
        identity, corrections = self.config.identity, Corrections(shard.corrections, state)
        # Masks become rows in a thread of their own, while the next frames are computed.
        with (
            closing(self.prompting.key_frames(shard, video, state)) as key_frames,
            closing(video.passed_over(state)) as frames,
            ThreadPoolExecutor(1, "rows", initializer=use_one_thread) as rows,
            log.storing_when_stopped(state),
        ):
            for features in self.engine.encode(frames):
                key_frames.prepare()
                if features.is_after_cut:
                    state.forget_tracked()
                for prompt in corrections.due(features.frame_index):
                    self.prompting.correct(state, prompt, features)
                output = self.engine.step(state, features)
                if identity.embeddings:
                    note_sightings(state, features, output, identity.best_frames)
                left_out = written_by_the_other_pass(state, output, self.config.tracking.direction)
                log.add(rows.submit(self._rows, shard, output, left_out), state)
                if watch.has_filled(self.engine.engine.memory_share()):
                    log.store(state)
                reach("frame")
                on_frames(state.frames_done)
            key_frames.refuse_missed()
        corrections.refuse_missed(state.next_frame)
        return watch.highest

    def _rows(self, shard: Shard, output: FrameOutput, left_out: list[int]) -> pa.RecordBatch:
        rows = rows_of(shard.video_id, self.engine.masks(output), shard.labels)
        return rows.filter(pa.array(~np.isin(rows["object_id"], left_out)))

    def _video(self, path: Path, on_frames: OnFrames) -> ShardVideo:
        return ShardVideo(path, self.config, self.engine.image_size_px, lambda: on_frames(None))

    def _span_log(
        self, shard: Shard, workspace: Workspace, spans: dict[str, str], state: VideoState
    ) -> SpanLog:
        return SpanLog(workspace, self._state_fingerprint(shard), self._checkpoint(shard), spans, state)

    def _checkpoint(self, shard: Shard) -> CheckpointConfig:
        """Return what is stored of a shard: nothing takes over states of a way back, so none stays."""
        config = self.config.checkpoint
        return config if shard.direction is Direction.FORWARD else replace(config, keep_every_frames=None)

    def _state_fingerprint(self, shard: Shard) -> str:
        """Return what a checkpoint must have been made of: no model can go on from another's state."""
        made_of = dict(shard.fingerprint)
        if self.stands_in:
            made_of["stands_in"] = self.weights_sha256
        return digest_of(made_of)

    def _flags(self) -> tuple[str, ...]:
        """Return what short memory led to, for whoever reads the masks."""
        rungs = [f"gpu_memory:{rung}" for rung in self.engine.relief.rungs]
        return (*rungs, *([f"smaller_model:{self.config.model.name}"] if self.stands_in else []))

    def _commit(
        self, shard: Shard, attempt: Attempt, begun: Begun, report: ShardReport, objects: Describer
    ) -> None:
        state, log = begun
        sha256, size_bytes, rows = log.finish(state, self._metadata(shard))
        marker = Marker(
            shard_id=shard.id,
            video_id=shard.video_id,
            video_uri=shown(shard.video_uri),
            attempt=attempt.name,
            sha256=sha256,
            bytes=size_bytes,
            rows=rows,
            objects=report.objects,
            frames=report.frames,
            span=span_between(state.first_frame, state.next_frame),
            frames_computed=report.frames_computed,
            seconds=report.seconds,
            attempts=report.attempts,
            fingerprint=dict(shard.fingerprint),
            flags=(*self._flags(), *drift_flags(log.workspace.folder / TABLE, QualityConfig())),
            kept=(
                objects.write_part(log.workspace),
                *kept_files(log.workspace, self._checkpoint(shard).keep_every_frames),
            ),
        )
        if attempt.epoch is not None and self.run.superseded(attempt.epoch):
            raise RunInUse(
                f"{self.run.root}: another driver has taken this run over; shard {shard.id} is its"
            )
        commit(self.run, marker)

    def _metadata(self, shard: Shard) -> dict[str, str]:
        return {
            "shard": shard.id,
            "direction": shard.direction.value,
            "fingerprint": digest_of(shard.fingerprint),
            "model": self.config.model.name,
            "weights_sha256": self.weights_sha256,
            "precision": self.config.engine.precision.value,
            "code_version": version("sam2-batch"),
        }


def _make_engine(config: SegmentConfig, weights: Path) -> Engine:
    model = build_model(config.model.architecture, read_weights(weights), config.model.image_size_px)
    return Engine(model, config.engine, config.tracking)
