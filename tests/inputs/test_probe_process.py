"""A video that kills or holds its decoder does so in a process of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.errors import DecodeCorrupt, InputMissing
from pipeline.inputs import probe_process
from pipeline.inputs.probe import probe
from pipeline.inputs.probe_process import look_from_afar
from tests.inputs.clips import cut_short, write_clip

INTERRUPTED = """
import os, signal, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pipeline.inputs.probe_process import ended_with_failure, look_from_afar

os.mkfifo("{folder}/endless.mp4")  # nobody ever writes to it
threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
with ThreadPoolExecutor(1) as pool, ended_with_failure():
    list(pool.map(lambda path: look_from_afar(path, 0, 1800.0), [Path("{folder}/endless.mp4")]))
"""


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "a.mp4", frames=20)


@pytest.fixture
def idle(clip):
    """A process that waits for the next video."""
    look_from_afar(clip, 0, limit_seconds=60)
    process = probe_process._idle.get()
    probe_process._idle.put(process)
    return process._process.pid


def test_facts_and_faults_are_those_of_this_process(clip, tmp_path):
    assert look_from_afar(clip, 3, limit_seconds=60) == probe(clip)
    with pytest.raises(InputMissing, match="none"):
        look_from_afar(tmp_path / "none.mp4", 0, limit_seconds=60)
    with pytest.raises(DecodeCorrupt, match="a.mp4"):
        look_from_afar(cut_short(clip, 0.5), 0, limit_seconds=60)


def test_a_decoder_that_holds_a_video_for_ever_is_ended(clip, idle):
    os.kill(idle, signal.SIGSTOP)
    with pytest.raises(DecodeCorrupt, match="not read within 1 s"):
        look_from_afar(clip, 0, limit_seconds=1)
    assert look_from_afar(clip, 0, limit_seconds=60) == probe(clip)


@pytest.mark.parametrize("dead_seconds", [0, 1], ids=["while it is asked", "before"])
def test_a_process_that_dies_of_a_video_takes_no_other_with_it(clip, idle, monkeypatch, dead_seconds):
    ask = probe_process._ProbeProcess.ask

    def die(process, request, limit_seconds):
        os.kill(process._process.pid, signal.SIGSTOP)  # it can't answer first
        os.kill(process._process.pid, signal.SIGSEGV)
        os.kill(process._process.pid, signal.SIGCONT)
        time.sleep(dead_seconds)
        return ask(process, request, limit_seconds)

    with monkeypatch.context() as patch:
        patch.setattr(probe_process._ProbeProcess, "ask", die)
        with pytest.raises(DecodeCorrupt, match="killed the process that read it"):
            look_from_afar(clip, 0, limit_seconds=60)
    assert look_from_afar(clip, 0, limit_seconds=60) == probe(clip)


def test_one_that_died_while_it_was_idle_is_replaced(clip, idle):
    os.kill(idle, signal.SIGKILL)
    os.waitpid(idle, 0)
    assert look_from_afar(clip, 0, limit_seconds=60) == probe(clip)


def test_an_interrupted_reading_of_a_manifest_does_not_wait_for_a_decoder_that_hangs(tmp_path):
    """Ctrl-C while one video holds its decoder, whose own limit is half an hour."""
    code = INTERRUPTED.format(folder=tmp_path)
    done = subprocess.run([sys.executable, "-c", code], timeout=100, capture_output=True, text=True)
    assert "KeyboardInterrupt" in done.stderr
