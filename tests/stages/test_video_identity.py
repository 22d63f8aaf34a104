"""A shard is of one video, whoever replaces it meanwhile and whatever a machine does not see."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from pipeline.errors import InputChanged, InputMissing, InputUnavailable
from pipeline.inputs.source import SourceConfig, source_identity
from pipeline.work.fingerprints import UNREADABLE, source_text
from tests.clips import moving_shapes, write_video
from tests.stages.segmenting import Cut, segment


def planned(shard, video, source=None):
    source = source or source_text(source_identity(str(video), SourceConfig()))
    return replace(shard, video_uri=str(video), fingerprint={**shard.fingerprint, "source": source})


def cut(frames):
    if frames == 15:
        raise Cut


def test_a_video_replaced_between_attempts_makes_no_table_of_both(shard, video, tmp_path):
    copy = shutil.copy(video, tmp_path / "a.mp4")
    shard = planned(shard, copy)
    with pytest.raises(Cut):
        segment(shard, tmp_path / "run", cut)
    write_video(tmp_path / "a.mp4", moving_shapes(21))
    with pytest.raises(InputChanged, match="the run was planned with"):
        segment(shard, tmp_path / "run")


def test_a_copy_on_another_machines_disk_is_the_same_video(shard, video, undisturbed, tmp_path):
    copy = shutil.copy(video, tmp_path / "a.mp4")
    shard = planned(shard, copy)
    os.utime(copy, (1, 1))
    assert segment(shard, tmp_path / "run")[1].equals(undisturbed)


def test_what_the_driver_could_not_read_is_committed_under_what_the_worker_saw(shard, video, tmp_path):
    segment(planned(shard, video, UNREADABLE), tmp_path)
    marker = json.loads((tmp_path / "_commit" / "shapes.json").read_text())
    assert marker["fingerprint"] == planned(shard, video).fingerprint


def test_a_machine_that_lacks_what_the_driver_saw_is_blamed_and_not_the_video(shard, video, tmp_path):
    gone = replace(planned(shard, video), video_uri=str(tmp_path / "gone.mp4"))
    with pytest.raises(InputUnavailable, match="is it mounted on this machine"):
        segment(gone, tmp_path / "run")
    never_seen = replace(gone, fingerprint={**gone.fingerprint, "source": UNREADABLE})
    with pytest.raises(InputMissing):
        segment(never_seen, tmp_path / "run")
