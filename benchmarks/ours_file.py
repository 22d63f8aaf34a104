"""Our worker's stage as a system of the comparison: from video files to published Parquet tables."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.agreement import PackedMasks, add_masks
from benchmarks.measure import FIRST_TRACKED_FRAME, Measured, measured
from benchmarks.ours import engine_config
from benchmarks.settings import Setting
from benchmarks.ticks import Stopwatch
from benchmarks.workload import Clip, write_video
from pipeline.outputs.reader import read_masks
from pipeline.records import Attempt, Shard
from pipeline.stages.model import ModelConfig
from pipeline.stages.segment import SegmentStage
from pipeline.stages.segment_config import SegmentConfig


def measure_files(setting: Setting, architecture: str, clips: Sequence[Clip]) -> tuple[Measured, PackedMasks]:
    """Segment one video file a clip, one after the other, and read the masks back.

    A video is timed from the end of its warm-up until its table is published. On CUDA a first video, which
    is not timed, compiles and captures what the engine compiles and captures.
    """
    with TemporaryDirectory() as folder:
        video = write_video(Path(folder), setting.frames)
        run = Path(folder) / "run"
        watch = Stopwatch(setting.device)
        stage = SegmentStage(_config(setting, architecture), str(run))
        if setting.device == "cuda":
            _segment(stage, _shard("warm-up", video, clips[0]), watch, setting)
            watch.reset()
        for number, clip in enumerate(clips):
            _segment(stage, _shard(str(number), video, clip), watch, setting)
        return measured(watch), _stored_masks(run, len(clips))


def _config(setting: Setting, architecture: str) -> SegmentConfig:
    model = ModelConfig(
        name=setting.model,
        architecture=architecture,
        weights=str(setting.weights),
        image_size_px=setting.image_size,
    )
    return SegmentConfig(model=model, engine=engine_config(setting))


def _shard(name: str, video: Path, clip: Clip) -> Shard:
    return Shard(name, name, str(video), tuple(clip.prompts), fingerprint={"benchmark": "compare"})


def _segment(stage: SegmentStage, shard: Shard, watch: Stopwatch, setting: Setting) -> None:
    def on_frames(done: int | None) -> None:
        if done == FIRST_TRACKED_FRAME + 1:
            watch.started_up()
        elif done == setting.warmup:
            watch.start()

    stage(shard, Attempt("000001.001"), on_frames)
    watch.stop()
    watch.frames += setting.frames - setting.warmup


def _stored_masks(run: Path, videos: int) -> PackedMasks:
    packed = PackedMasks()
    for number in range(videos):
        for frame in read_masks(run, video_id=str(number)):
            add_masks(packed, number, frame.frame_index, frame.masks)
    return packed
