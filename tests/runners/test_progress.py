"""Frames are counted honestly, and shown live or as lines of a log."""

import io
import logging

import pytest
from rich.console import Console

from pipeline.errors import FaultClass
from pipeline.records import Problem, ShardReport, ShardStatus
from pipeline.runners.progress import Progress
from tests.runners.scripted import shard


class Clock:
    """A time of day that only the test moves."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def progress_of(shards, clock, **options):
    return Progress(shards, console=Console(file=io.StringIO()), clock=clock, **options)


def done(name, frames, computed=None):
    computed = frames if computed is None else computed
    return ShardReport(name, name, ShardStatus.DONE, objects=1, frames=frames, frames_computed=computed)


def given_up(name, message="SIGKILL"):
    problem = Problem(FaultClass.CRASH_SIGNAL, message)
    return ShardReport(name, name, ShardStatus.QUARANTINED, objects=1, attempts=3, problem=problem)


def test_the_time_left_follows_from_the_frames_left_and_the_speed_so_far(clock):
    progress = progress_of([shard("a", num_frames=1000), shard("b", num_frames=3000)], clock)
    progress.advance("a", 0)
    clock.seconds = 10
    progress.advance("a", 500)
    progress.advance("b", 0)

    assert progress.line() == ("500 of about 4,000 frames, 0 of 2 shards, 50.0 frames/s, about 0:01:10 left")


def test_before_the_first_frame_nothing_is_promised(clock):
    line = progress_of([shard("a", num_frames=10)], clock).line()

    assert line == "0 of about 10 frames, 0 of 1 shards, 0.0 frames/s, time left unknown"


def test_frames_of_an_earlier_run_do_not_make_this_one_look_fast(clock):
    progress = progress_of([shard("a", num_frames=1000)], clock)
    clock.seconds = 10
    progress.advance("a", 900)
    progress.advance("a", 910)

    assert progress.line() == "910 of about 1,000 frames, 0 of 1 shards, 1.0 frames/s, about 0:01:30 left"


def test_a_shard_tried_again_counts_from_its_new_start(clock):
    progress = progress_of([shard("a", num_frames=100)], clock)
    progress.advance("a", 80)
    progress.advance("a", 20)

    assert progress.line().startswith("20 of about 100 frames")


def test_a_container_that_says_too_little_never_gives_more_than_all(clock):
    progress = progress_of([shard("a", num_frames=10), shard("b", num_frames=10)], clock)
    progress.advance("a", 500)
    progress.advance("b", 5)

    assert progress.line().startswith("15 of about 20 frames")


def test_a_container_that_says_nothing_counts_as_one_frame(clock):
    progress = progress_of([shard("a", num_frames=0), shard("b", num_frames=0)], clock)
    progress.finish(done("a", frames=40))

    assert progress.line().startswith("1 of about 2 frames, 1 of 2 shards")


def test_the_last_lines_say_what_happened(clock):
    progress = progress_of([shard(name, num_frames=100) for name in "abcd"], clock)
    clock.seconds = 20
    progress.finish(done("a", frames=100))
    progress.finish(done("b", frames=101, computed=41))
    progress.finish(given_up("c", "killed\nand more"))

    assert progress.summary() == [
        "quarantined: c after attempt 3, crash_signal: killed",
        "2 of 4 shards done, 1 quarantined, 1 unfinished",
        "201 frames have masks; 141 computed in 20.0 s (7.0 frames/s)",
    ]


def test_many_faults_are_counted_rather_than_listed(clock):
    names = [f"video-{i}" for i in range(25)]
    progress = progress_of([shard(name) for name in names], clock)
    for name in names:
        progress.finish(given_up(name))

    assert progress.summary()[19:21] == [
        "quarantined: video-19 after attempt 3, crash_signal: SIGKILL",
        "quarantined: 5 more",
    ]


def test_a_log_gets_a_line_now_and_then_and_the_summary(clock, caplog):
    caplog.set_level(logging.INFO)
    shards = [shard("a", num_frames=100)]
    with progress_of(shards, clock, log_every_seconds=30) as progress:
        for second in range(71):
            clock.seconds = second
            progress.advance("a", second)
        progress.finish(done("a", frames=100))

    assert [message.split(",")[0] for message in caplog.messages] == [
        "30 of about 100 frames",
        "60 of about 100 frames",
        "1 of 1 shards done",
        "100 frames have masks; 100 computed in 70.0 s (1.4 frames/s)",
    ]


def test_a_terminal_gets_a_live_line_notes_and_the_summary(clock):
    screen = io.StringIO()
    shards = [shard("a", num_frames=100)]
    with Progress(
        shards, console=Console(file=screen, force_terminal=True, width=150), clock=clock
    ) as progress:
        clock.seconds = 1
        progress.advance("a", 30)
        progress.note_retry(given_up("a", "the worker [process] died"))
        progress.finish(done("a", frames=100))

    assert "trying again: a after attempt 3, crash_signal: the worker [process] died" in screen.getvalue()
    assert "100 of about 100 frames, 1 of 1 shards" in screen.getvalue()
    assert "1 of 1 shards done, 0 quarantined, 0 unfinished" in screen.getvalue()


def test_a_run_that_is_stopped_says_how_far_it_came(clock, caplog):
    caplog.set_level(logging.INFO)

    with pytest.raises(KeyboardInterrupt), progress_of([shard("a"), shard("b")], clock) as progress:
        progress.finish(done("a", frames=3))
        raise KeyboardInterrupt

    assert "1 of 2 shards done, 0 quarantined, 1 unfinished" in caplog.messages
