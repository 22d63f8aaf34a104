"""One small shard of two objects, and one attempt at it, for the tests of the stage."""

import uuid

import pyarrow.parquet as pq

from pipeline.engine.config import EngineConfig, Precision
from pipeline.outputs.checkpoints import CheckpointConfig
from pipeline.records import Attempt, Prompt
from pipeline.stages.segment import SegmentStage
from pipeline.stages.segment_config import SegmentConfig
from tests.clips import DISC_BOX

FRAMES = 37
EVERY = 10
DISC = Prompt(1, 0, box_xyxy=tuple(DISC_BOX), label="disc")
SQUARE = Prompt(5, 4, points_xy=((116.0, 62.0),), point_labels=(1,))
CONFIG = SegmentConfig(
    engine=EngineConfig(precision=Precision.fp32, max_hole_px=0), checkpoint=CheckpointConfig(EVERY)
)


def segment(shard, folder, on_frames=lambda _: None, config=CONFIG):
    """Run one attempt; return its report and the published table."""
    report = SegmentStage(config, str(folder))(shard, Attempt(uuid.uuid4().hex), on_frames)
    return report, masks_table(folder, shard)


def masks_table(folder, shard):
    return pq.read_table(folder / "masks" / shard.video_id / f"{shard.id}.parquet", partitioning=None)


class Cut(Exception):
    pass
