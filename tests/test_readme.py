"""Every command of the README is run, in a copy of the repository."""

import re
import runpy
import shlex
import shutil
import subprocess

import pytest

from jobs import edge
from tests.conftest import REPOSITORY
from tests.test_conf import composed, schema_of

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
THIS_VERY_RUN = "make test"


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def job_commands(text: str) -> list[list[str]]:
    """Return the words of each `python -m jobs.<name> ...` in a block."""
    lines = text.replace("\\\n", " ").splitlines()
    found = [re.search(r"python -m jobs\.(\w+.*)", line) for line in lines]
    return [shlex.split(match[1], comments=True) for match in found if match]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The tracked files, and the same environment."""
    folder = tmp_path_factory.mktemp("readme")
    tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=REPOSITORY, text=True)
    for name in filter(None, tracked.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, folder / name)
    (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    return folder


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(1500)
def test_the_commands_run_and_the_code_reads_what_they_wrote(copy, monkeypatch):
    script = "\n".join(blocks("bash")).replace(THIS_VERY_RUN, "")
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script], cwd=copy, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 shards done, 0 quarantined" in done.stderr

    monkeypatch.chdir(copy)
    for code in blocks("python"):
        (copy / "block.py").write_text(code)
        runpy.run_path(str(copy / "block.py"))


@pytest.mark.parametrize("command", [c for block in blocks("") for c in job_commands(block)], ids=" ".join)
def test_commands_for_clusters_and_gpus_are_ones_that_the_jobs_take(command, monkeypatch):
    job, *overrides = command
    assert isinstance(edge.to_dataclass(composed(job, *overrides), schema_of(job, monkeypatch)), object)


def test_every_target_of_make_that_is_named_exists():
    named = set(re.findall(r"make (\w+)", "\n".join(text for _, text in BLOCKS)))
    targets = subprocess.check_output(["make", "help"], cwd=REPOSITORY, text=True)
    assert named <= set(re.findall(r"^\w+", targets, re.MULTILINE))
