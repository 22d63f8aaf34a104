"""The watch over a long run."""

import pytest

from benchmarks.long_video_run import LongRunConfig, Watch
from pipeline.errors import Stopped


def watch_of(limit_seconds: float) -> Watch:
    return Watch(LongRunConfig(100, 50, 4, 64, sample_every=10, limit_seconds=limit_seconds))


def test_samples_are_taken_at_a_pace_and_time_counts_per_frame():
    watch = watch_of(60)
    for done in (0, None, *range(1, 25)):
        watch(done)
    assert watch.samples.frames == [10, 20]
    assert len(watch.samples.rss_mib) == len(watch.samples.wall_ms) == len(watch.samples.cpu_ms) == 2
    assert all(mib > 10 for mib in watch.samples.rss_mib)


def test_a_run_is_stopped_when_its_time_is_over():
    with pytest.raises(Stopped):
        watch_of(-1)(1)
