"""A fault of a shard becomes a report that says what kind of fault it was."""

import errno
import pickle
from concurrent.futures import CancelledError

import numpy as np
import pytest
import torch

from pipeline.errors import (
    DecodeCorrupt,
    FaultClass,
    InputMissing,
    InputUnavailable,
    PromptInvalid,
    StorageError,
    WeightsError,
)
from pipeline.records import Attempt, ShardReport, ShardStatus
from pipeline.runners.guard import run_guarded
from tests.runners.scripted import shard

FIRST = Attempt("000001.001")


def run(error, attempt=FIRST):
    def stage(shard, attempt, on_frames):
        raise error

    return run_guarded(stage, shard("cam", objects=2), attempt, on_frames=lambda frames: None)


@pytest.mark.parametrize(
    ("error", "fault_class"),
    [
        pytest.param(InputMissing("gone"), FaultClass.INPUT_MISSING, id="no video"),
        pytest.param(DecodeCorrupt("broken"), FaultClass.DECODE_CORRUPT, id="broken video"),
        pytest.param(PromptInvalid("outside"), FaultClass.PROMPT_INVALID, id="prompt"),
        pytest.param(WeightsError("shape"), FaultClass.WEIGHTS, id="weights"),
        pytest.param(InputUnavailable("503"), FaultClass.INPUT_UNAVAILABLE, id="video's server"),
        pytest.param(CancelledError(), FaultClass.STOPPED, id="engine closed"),
        pytest.param(StorageError("gone"), FaultClass.STORAGE, id="storage"),
        pytest.param(OSError(errno.ENOSPC, "No space left"), FaultClass.STORAGE, id="disk full"),
        pytest.param(OSError(errno.EDQUOT, "Quota exceeded"), FaultClass.STORAGE, id="quota"),
        pytest.param(OSError(errno.EACCES, "Permission denied"), FaultClass.STORAGE, id="other OS error"),
        pytest.param(torch.OutOfMemoryError("CUDA out of memory"), FaultClass.OOM_GPU, id="GPU memory"),
        pytest.param(RuntimeError("CUDA error: misaligned address"), FaultClass.DEVICE, id="GPU fault"),
        pytest.param(MemoryError(), FaultClass.OOM_HOST, id="memory"),
        pytest.param(ZeroDivisionError("division"), FaultClass.BUG, id="anything else"),
    ],
)
def test_an_error_is_classed(error, fault_class):
    assert run(error).problem.fault_class is fault_class


def test_memory_that_torch_cannot_get_is_the_hosts():
    def stage(shard, attempt, on_frames):
        torch.empty(1 << 60, dtype=torch.uint8)

    report = run_guarded(stage, shard("cam"), FIRST, on_frames=lambda frames: None)

    assert report.problem.fault_class is FaultClass.OOM_HOST


def test_memory_that_numpy_cannot_get_is_the_hosts():
    def stage(shard, attempt, on_frames):
        np.ones(1 << 60, dtype=np.uint8)

    report = run_guarded(stage, shard("cam"), FIRST, on_frames=lambda frames: None)

    assert report.problem.fault_class is FaultClass.OOM_HOST


def test_a_failure_keeps_shard_attempt_message_and_traceback_through_pickling():
    report = pickle.loads(
        pickle.dumps(run(InputMissing("cam.mp4 is not there"), attempt=Attempt("000001.002", 2)))
    )

    assert (report.shard_id, report.status, report.objects, report.attempts) == (
        "cam",
        ShardStatus.FAILED,
        2,
        2,
    )
    assert report.problem.message == "cam.mp4 is not there"
    assert "raise error" in report.problem.traceback


def test_an_error_without_a_message_is_named_by_its_class():
    assert run(MemoryError()).problem.message == "MemoryError"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_passes_through(stop):
    with pytest.raises(stop):
        run(stop())


def test_a_report_is_handed_on_with_its_attempt():
    done = ShardReport("cam", "cam", ShardStatus.DONE, objects=1, frames=7)

    report = run_guarded(
        lambda *_: done, shard("cam"), Attempt("000001.002", 2), on_frames=lambda frames: None
    )

    assert (report.status, report.frames, report.attempts) == (ShardStatus.DONE, 7, 2)
