"""What can go wrong, as a tree. A fault class decides whether trying again can help.

PipelineError
├── InputMissing      the video (or weights, or truth) is not where the URI says
├── InputUnavailable  it may be there, but its store or disk does not give it now
├── InputChanged      it is another than the run was planned with
├── InputTooLarge     the video is larger than the configured limits
├── DecodeCorrupt     it is there and cannot be decoded
├── PromptInvalid     a prompt does not fit the video it is for
├── WeightsError      weights that do not fit the architecture, or can't be had
├── ManifestError     faults in the manifest; carries all of them
├── UsageError        settings that do not go together
├── FingerprintChanged  the run folder holds results of other inputs or another config
├── RunInUse          another driver works on the run folder, or has taken it over
├── StorageError      the run folder, or this machine's disk, cannot be read or written
├── DeviceFailed      the GPU failed in a way that only a new process gets over
└── ClusterError      the Ray cluster can't be reached, or has no room for a worker

Stopped is none of these: it is nobody's fault, and ends what is under way in order.
"""

from enum import Enum


class FaultClass(str, Enum):
    """Why a shard failed; stored in reports and in quarantine."""

    INPUT_MISSING = "input_missing"
    INPUT_UNAVAILABLE = "input_unavailable"
    INPUT_CHANGED = "input_changed"
    INPUT_TOO_LARGE = "input_too_large"
    DECODE_CORRUPT = "decode_corrupt"
    PROMPT_INVALID = "prompt_invalid"
    OOM_GPU = "oom_gpu"
    OOM_HOST = "oom_host"
    DEVICE = "device"  # the GPU failed otherwise: nothing in that process can use it any more
    CRASH_SIGNAL = "crash_signal"
    WORKER_LOST = "worker_lost"  # with its machine, by preemption, in company, or without a word
    NO_PROGRESS = "no_progress"  # it hung
    STOPPED = "stopped"  # as asked by a person
    STORAGE = "storage"
    WEIGHTS = "weights"
    BUG = "bug"


class PipelineError(Exception):
    """Base of all errors this project raises on purpose."""

    fault_class = FaultClass.BUG


class InputMissing(PipelineError):
    fault_class = FaultClass.INPUT_MISSING


class InputUnavailable(PipelineError):
    fault_class = FaultClass.INPUT_UNAVAILABLE


class InputChanged(PipelineError):
    fault_class = FaultClass.INPUT_CHANGED


class InputTooLarge(PipelineError):
    fault_class = FaultClass.INPUT_TOO_LARGE


class DecodeCorrupt(PipelineError):
    fault_class = FaultClass.DECODE_CORRUPT


class PromptInvalid(PipelineError):
    fault_class = FaultClass.PROMPT_INVALID


class WeightsError(PipelineError):
    fault_class = FaultClass.WEIGHTS


class StorageError(PipelineError):
    fault_class = FaultClass.STORAGE


class ClusterError(PipelineError):
    """The Ray cluster can't be reached, or has no room for a worker."""


class DeviceFailed(PipelineError):
    """The GPU failed in a way that only a new process gets over."""

    fault_class = FaultClass.DEVICE


class UsageError(PipelineError):
    """Settings that are each allowed and do not go together."""


class FingerprintChanged(PipelineError):
    """Finished work in the run folder was made from something else."""


class RunInUse(PipelineError):
    """Another driver works on the run folder, or has taken it over."""

    fault_class = FaultClass.STOPPED  # no fault of a shard whose worker notices


class ManifestError(PipelineError):
    """Everything that is wrong with a manifest, one line a fault."""

    fault_class = FaultClass.PROMPT_INVALID


class Stopped(BaseException):
    """The run is being stopped: store what is under way, and end. No `except Exception` may hold it up."""
