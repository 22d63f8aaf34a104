"""Temporary folders go with the process that made them, however it ends."""

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


def test_a_folder_is_gone_after_its_block(tmp_path):
    with temporary_folder("source", str(tmp_path)) as folder:
        (folder / "a.mp4").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else_is(tmp_path):
    (tmp_path / "sam2-notes").mkdir()
    subprocess.run([sys.executable, "-c", LEAVE_ONE, tmp_path], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with temporary_folder("source", str(tmp_path)) as mine, temporary_folder("source", str(tmp_path)):
        assert mine.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["sam2-notes"]
