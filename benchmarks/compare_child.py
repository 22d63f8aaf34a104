"""A setting of the comparison, measured in a process of its own, whatever becomes of that."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.measure import Measured
from benchmarks.settings import Setting

REPOSITORY = Path(__file__).parent.parent
LONGEST_PROBLEM_CHARS = 160


def measure_in_child(setting: Setting, masks: Path, timeout_seconds: float) -> Figure:
    """Return the figure of a setting; its masks are in `masks` unless the figure has a problem."""
    command = [sys.executable, "-m", "benchmarks.compare_one", *setting.to_arguments()]
    command += ["--masks", str(masks), "--json"]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout_seconds
        )
    except subprocess.TimeoutExpired:
        return Figure(setting, problem=f"took longer than {timeout_seconds:.0f} s")
    if done.returncode != 0:
        problem = problem_of(done.returncode, done.stderr).replace(str(setting.weights), setting.weights.name)
        return Figure(setting, problem=problem)
    return Figure(setting, measured=Measured(**json.loads(done.stdout.splitlines()[-1])))


def problem_of(returncode: int, stderr: str) -> str:
    """Return in one line why a process failed: the signal that ended it, or what it said last.

    >>> problem_of(-9, "")
    'ended by SIGKILL, as when memory runs out'
    >>> problem_of(1, "Traceback ...\\nModuleNotFoundError: No module named 'transformers'\\n")
    "ModuleNotFoundError: No module named 'transformers'"
    """
    if returncode < 0:
        name = signal.Signals(-returncode).name
        return f"ended by {name}" + (", as when memory runs out" if name == "SIGKILL" else "")
    said = [line.strip() for line in stderr.splitlines() if line.strip()]
    return (said[-1] if said else f"exit code {returncode}")[:LONGEST_PROBLEM_CHARS]
