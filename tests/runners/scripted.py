"""A stage that does what a shard's `video_uri` says, and leaves a trace of every attempt on disk."""

import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputMissing, InputUnavailable, WeightsError
from pipeline.records import Prompt, Shard, ShardReport, ShardStatus


class OutOfMemoryError(RuntimeError):
    """Named as torch's, which needs a GPU to be raised."""


def shard(name: str, behaviour: str = "succeed", num_frames: int = 3, objects: int = 1) -> Shard:
    prompts = tuple(
        Prompt(object_id=i + 1, frame_index=0, points_xy=((0, 0),), point_labels=(1,)) for i in range(objects)
    )
    return Shard(name, name, behaviour, prompts, num_frames_hint=num_frames)


@dataclass
class ScriptedStage:
    trace: Path
    shards_at_once: int = 1

    def __post_init__(self):
        (self.trace / f"worker.{os.getpid()}").touch()

    def __call__(self, shard, attempt, on_frames):
        (self.trace / f"attempt.{shard.id}.{attempt.number}").write_text(str(os.getpid()))
        behaviour = getattr(self, shard.video_uri)
        behaviour(shard, attempt, on_frames)
        return ShardReport(
            shard_id=shard.id,
            video_id=shard.video_id,
            status=ShardStatus.DONE,
            objects=len(shard.object_ids),
            frames=shard.num_frames_hint,
            frames_computed=shard.num_frames_hint,
        )

    def close(self):
        (self.trace / "closed").touch()

    def succeed(self, shard, attempt, on_frames):
        for frames in range(1, shard.num_frames_hint + 1):
            on_frames(frames)

    def be_killed(self, shard, attempt, on_frames):
        os.kill(os.getpid(), signal.SIGKILL)

    def be_killed_once(self, shard, attempt, on_frames):
        if attempt.number == 1:
            self.be_killed(shard, attempt, on_frames)

    def divide_by_zero(self, shard, attempt, on_frames):
        1 / 0  # noqa: B018

    def fail_once(self, shard, attempt, on_frames):
        if attempt.number == 1:
            raise RuntimeError("once")

    def miss_input(self, shard, attempt, on_frames):
        raise InputMissing(f"{shard.video_id} is not there")

    def fill_gpu(self, shard, attempt, on_frames):
        raise OutOfMemoryError("CUDA out of memory")

    def break_gpu(self, shard, attempt, on_frames):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def fill_host(self, shard, attempt, on_frames):
        raise MemoryError

    def fill_disk(self, shard, attempt, on_frames):
        raise OSError(errno.ENOSPC, "No space left on device")

    def need_one_thread(self, shard, attempt, on_frames):
        if os.environ.get("OMP_NUM_THREADS") != "1":
            raise RuntimeError(f"OMP_NUM_THREADS is {os.environ.get('OMP_NUM_THREADS')}")

    def wait_to_be_seen(self, shard, attempt, on_frames):
        """Keep the interpreter busy until the driver has taken note of a frame."""
        deadline = time.monotonic() + 30
        while not (self.trace / "seen").exists():
            on_frames(1)
            if time.monotonic() > deadline:
                raise TimeoutError("nobody asked for the frames done")

    def hoard(self, shard, attempt, on_frames):
        """Hold more memory than is good, for longer than anybody should allow."""
        held = bytearray(b"x") * (1 << 30)
        deadline = time.monotonic() + 30
        while held and time.monotonic() < deadline:
            on_frames(1)
            time.sleep(0.05)

    def linger(self, shard, attempt, on_frames):
        """Give a worker too many the time to show up."""
        time.sleep(3)

    def wait_for_two_more(self, shard, attempt, on_frames):
        """Go on until three shards have begun."""
        deadline = time.monotonic() + 30
        while len(list(self.trace.glob("attempt.good*"))) < 3:
            if time.monotonic() > deadline:
                raise TimeoutError("two more shards never began")
            time.sleep(0.01)

    def wait_for_company(self, shard, attempt, on_frames):
        """Go on until a shard that kills the worker has begun, and then for longer than that takes."""
        deadline = time.monotonic() + 30
        while not list(self.trace.glob("attempt.killed*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)

    def be_killed_in_company(self, shard, attempt, on_frames):
        """Kill the worker once it holds three more."""
        deadline = time.monotonic() + 5
        while len(list(self.trace.glob("attempt.*"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.be_killed(shard, attempt, on_frames)

    def hang_in_company(self, shard, attempt, on_frames):
        """Stop the worker's process once it holds three more."""
        deadline = time.monotonic() + 5
        while len(list(self.trace.glob("attempt.*"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60)  # another thread may be the one that stops the process, and be late on a busy machine

    def decode_for_long(self, shard, attempt, on_frames):
        """Get on for three seconds without a new mask."""
        for _ in range(30):
            on_frames(None)
            time.sleep(0.1)

    def lose_its_server(self, shard, attempt, on_frames):
        raise InputUnavailable("the server answers 503")

    def go_on_for_long(self, shard, attempt, on_frames):
        for frames in range(80):
            on_frames(frames)
            time.sleep(0.1)

    def go_on_forever(self, shard, attempt, on_frames):
        while True:
            time.sleep(0.1)


def make_without_weights():
    raise WeightsError("nano.safetensors does not fit the architecture")


def make_and_die():
    os.kill(os.getpid(), signal.SIGKILL)


def make_and_hang():
    time.sleep(3600)
