"""BATCH -> MASKS + MEMORIES + VERDICTS: tracking by another memory policy than SAM 2's own."""

from collections.abc import Callable, Mapping, Sequence

import torch

from pipeline.engine import distractors, motion
from pipeline.engine.candidates import Glance, HeadOutput, glances
from pipeline.engine.config import MemoryPolicy
from pipeline.engine.lanes import Lane
from pipeline.engine.network import Network, Shared
from pipeline.engine.state import ObjectState, Verdict
from pipeline.engine.tracking import LaneTensors, remember_tracked

Judge = Callable[[ObjectState, int, Glance], Verdict]  # of an object, a frame's index, and what is seen there
JUDGES: Mapping[MemoryPolicy, Judge] = {
    MemoryPolicy.motion: motion.judge,
    MemoryPolicy.distractor: distractors.judge,
}


def track_by(
    judge: Judge, network: Network, lanes: Sequence[Lane], tensors: LaneTensors
) -> tuple[HeadOutput, torch.Tensor, list[Verdict]]:
    """Segment objects by what they look back at; return also the memories and a verdict a lane."""
    recalled = network.recall(tensors.shared, network.look_back(*tensors[1:]))
    output, verdicts = decode_by(judge, network, lanes, tensors.shared, recalled)
    return output, remember_tracked(network, tensors.shared, output), verdicts


def decode_by(
    judge: Judge, network: Network, lanes: Sequence[Lane], shared: Shared, recalled: torch.Tensor
) -> tuple[HeadOutput, list[Verdict]]:
    """Segment objects and let each one's mask be chosen."""
    candidates = network.candidates(shared, recalled)
    verdicts = [
        judge(lane.bank, lane.features.frame_index, glance)
        for lane, glance in zip(lanes, glances(candidates), strict=True)
    ]
    return candidates.chosen([verdict.choice for verdict in verdicts]), verdicts
