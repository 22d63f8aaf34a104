"""The house keeps its order: imports point one way, nothing grows too long, no file knows its machine."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

LONGEST_FUNCTION_LINES = 40
LONGEST_FILE_LINES = 300
FOLDERS = ("pipeline", "jobs", "conf", "tests", "infra", "benchmarks", "docs", "tools", ".ci")
SOURCES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for folder in ("pipeline", "jobs", "tests", "benchmarks", "tools")
    for path in (REPOSITORY / folder).rglob("*.py")
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|root|farm|Users)/")

HOUSE = "The house: imports point one way, and inputs, engine, outputs and work never meet"


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def copied_house(tmp_path_factory) -> Path:
    copy = tmp_path_factory.mktemp("house")
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    for package in ("pipeline", "jobs", "tools"):
        shutil.copytree(REPOSITORY / package, copy / package, ignore=shutil.ignore_patterns("bundled"))
    return copy


def test_every_import_obeys_the_rule():
    outcome = lint_imports(REPOSITORY)

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    ("room", "import_line", "broken"),
    [
        pytest.param("pipeline/work", "import pipeline.stages", HOUSE, id="upward"),
        pytest.param("pipeline/inputs", "import pipeline.outputs", HOUSE, id="sideways"),
        pytest.param("pipeline/engine", "import jobs", HOUSE, id="up to the jobs"),
        pytest.param("jobs", "import tools.nano.train", HOUSE, id="tools in a job"),
        pytest.param("pipeline/stages", "import ray", "Ray only in runners/ray", id="ray in a stage"),
        pytest.param("jobs", "from ray import init", "Ray only in runners/ray", id="ray in a job"),
        pytest.param("pipeline/work", "import torch", "Work knows no video and no tensor", id="tensor"),
        pytest.param("pipeline/outputs", "import sam2", "Inputs, outputs and work need no model", id="model"),
        pytest.param("pipeline/engine", "import fsspec", "The engine does no I/O", id="engine I/O"),
        pytest.param("pipeline/stages", "import omegaconf", "Hydra stops at the jobs", id="config"),
    ],
)
def test_a_planted_import_is_caught(copied_house, room, import_line, broken):
    planted = copied_house / room / "planted.py"
    planted.write_text(import_line + "\n")
    try:
        outcome = lint_imports(copied_house)
    finally:
        planted.unlink()

    assert outcome.returncode == 1
    assert f"{broken} BROKEN" in " ".join(outcome.stdout.split())


@pytest.mark.parametrize("source", SOURCES)
def test_functions_and_files_stay_short(source):
    text = (REPOSITORY / source).read_text()
    long_functions = {
        node.name: lines
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := lines_without_docstring(node)) > LONGEST_FUNCTION_LINES
    }

    assert not long_functions
    assert text.count("\n") <= LONGEST_FILE_LINES


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = ast.get_docstring(function, clean=False) or ""
    return function.end_lineno - function.lineno - docstring.count("\n")


def test_no_file_names_a_path_of_one_machine():
    files = [
        *(path for path in REPOSITORY.iterdir() if path.is_file()),
        *(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*") if path.is_file()),
    ]
    naming = [
        path.relative_to(REPOSITORY).as_posix()
        for path in files
        if path.suffix != ".pyc" and MACHINE_PATH.search(path.read_text(errors="ignore"))
    ]

    assert not naming


def test_constraints_pin_one_version_each_and_name_no_source():
    pins = [line.partition(" ;")[0] for line in (REPOSITORY / "constraints.txt").read_text().splitlines()]

    assert all(re.fullmatch(r"[a-z0-9.-]+==[0-9a-z.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins
