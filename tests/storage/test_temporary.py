"""Temporary folders go with the process that made them, however it ends."""

import os
import subprocess
import sys

from pipeline.storage.temporary import temporary_folder

LEAVE_ONE = """
import os, signal, sys
from pipeline.storage.temporary import temporary_folder
with temporary_folder("source", sys.argv[1]) as folder:
    (folder / "a.mp4").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def age(parent):
    """Make all locks there an hour old."""
    for lock in parent.glob("*/*.lock"):
        os.utime(lock, (lock.stat().st_mtime - 3600,) * 2)


def test_a_folder_is_gone_after_its_block(tmp_path):
    with temporary_folder("source", str(tmp_path)) as folder:
        (folder / "a.mp4").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else_is(tmp_path):
    (tmp_path / "sam2-notes").mkdir()
    subprocess.run([sys.executable, "-c", LEAVE_ONE, tmp_path], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    age(tmp_path)
    with temporary_folder("source", str(tmp_path)) as mine:
        age(tmp_path)
        with temporary_folder("source", str(tmp_path)):
            assert mine.is_dir()
            assert len(list(tmp_path.iterdir())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["sam2-notes"]


def test_a_folder_of_another_process_stays_as_long_as_it_lives(tmp_path):
    code = LEAVE_ONE.replace("os.kill(os.getpid(), signal.SIGKILL)", "print(flush=True); input()")
    command = [sys.executable, "-c", code, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        age(tmp_path)
        with temporary_folder("source", str(tmp_path)):
            assert len(list(tmp_path.glob("*/content/a.mp4"))) == 1
        process.communicate(b"\n")
    assert list(tmp_path.iterdir()) == []
