"""Look at videos in processes of their own: what kills a decoder, or holds it for ever, ends that one alone.

    python -m pipeline.inputs.probe_process      one JSON request a line in, one answer a line out

The driver plans with what strangers wrote; a worker that dies is replaced, a driver is not.
"""

import atexit
import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from queue import Empty, LifoQueue

from pipeline import errors
from pipeline.errors import DecodeCorrupt, PipelineError
from pipeline.inputs.probe import VideoFacts, probe
from pipeline.inputs.video import count_frames

PATIENCE_SECONDS = 1.0  # about what a new process takes: most videos are looked at sooner


def look(path: Path, furthest_frame: int) -> VideoFacts:
    """Return the facts of a video; if a frame past its container's count is wanted, by decoding all of it.

    Raises:
        PipelineError: As of `probe`.
    """
    facts = probe(path)
    if furthest_frame >= facts.num_frames_hint and path.is_file():
        # Packets are not frames: before refusing a prompt, count what really decodes.
        return replace(facts, num_frames_hint=count_frames(path))
    return facts


def look_from_afar(path: Path, furthest_frame: int, limit_seconds: float) -> VideoFacts:
    """Do the same in a process of its own.

    Raises:
        DecodeCorrupt: The process died of the video, or took longer than the limit, and was killed.
    """
    process = _idle_or_new()
    try:
        answer = process.ask({"path": str(path), "furthest_frame": furthest_frame}, limit_seconds)
    except BaseException:
        process.kill()
        raise
    _idle.put(process)
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"])
    return VideoFacts(**{**answer, "size_hw": tuple(answer["size_hw"])})


class _ProbeProcess:
    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.inputs.probe_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is the driver's
        )

    def ask(self, request: dict, limit_seconds: float) -> dict:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        with suppress(BrokenPipeError):  # it has died: the answer that does not come says so
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(limit_seconds):
                raise DecodeCorrupt(f"{request['path']}: not read within {limit_seconds:g} s")
        line = stdout.readline()
        if not line:
            code = self._process.wait()
            raise DecodeCorrupt(f"{request['path']}: killed the process that read it (exit code {code})")
        return json.loads(line)

    @property
    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


_idle: LifoQueue[_ProbeProcess] = LifoQueue()
_started: list[_ProbeProcess] = []


def _idle_or_new() -> _ProbeProcess:
    some_work = any(not process.is_gone for process in _started)
    with suppress(Empty):
        while (process := _idle.get(block=some_work, timeout=PATIENCE_SECONDS)).is_gone:
            continue
        return process
    process = _ProbeProcess()
    _started.append(process)
    return process


@contextmanager
def ended_with_failure() -> Iterator[None]:
    """End what looks at videos for threads that the block waits for, when it fails or is interrupted."""
    try:
        yield
    except BaseException:
        _end_all()
        raise


@atexit.register
def _end_all() -> None:
    for process in _started:
        process.kill()


def _serve() -> None:
    # Libraries may print; the answers have the descriptor for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = asdict(look(Path(request["path"]), request["furthest_frame"]))
        except PipelineError as error:
            answer = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
