"""The image: who it runs as, what it pins, and that its install steps work."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.infra.dockerfile import Instruction, read_dockerfile

DOCKERFILE = REPOSITORY / "infra" / "Dockerfile"
INSTRUCTIONS = read_dockerfile(DOCKERFILE)


def index_of(name: str, containing: str) -> int:
    return next(i for i, step in enumerate(INSTRUCTIONS) if step.name == name and containing in step.argument)


def test_the_last_user_is_a_number_and_not_root():
    users = [step.argument for step in INSTRUCTIONS if step.name == "USER"]

    assert users[-1].isdigit(), "Kubernetes can tell only by a number that a user is not root"
    assert int(users[-1]) > 0


def test_ray_starts_what_it_wants_in_the_image():
    assert not {"ENTRYPOINT", "CMD"} & {step.name for step in INSTRUCTIONS}


def test_dependencies_have_a_layer_of_their_own_with_the_pinned_versions():
    install = index_of("RUN", "--constraint constraints.txt")

    assert install < index_of("COPY", ". .")
    assert index_of("COPY", "constraints.txt") < install


def test_the_base_image_has_the_cuda_version_that_torch_is_built_for():
    base = next(step.argument for step in INSTRUCTIONS if step.name == "FROM")
    pins = (REPOSITORY / "constraints.txt").read_text()
    toolkit = re.search(r"^cuda-toolkit==(\d+\.\d+)\.", pins, re.MULTILINE)

    assert toolkit is not None
    assert base.startswith(f"nvidia/cuda:{toolkit[1]}.")


@pytest.mark.image
@pytest.mark.timeout(600)
def test_the_install_steps_give_a_working_job_in_a_clean_environment(tmp_path):
    app, venv = tmp_path / "app", tmp_path / "venv"
    app.mkdir()
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    # The variables of the virtual environment that runs this test must not reach the new one.
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {**clean, "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    for step in INSTRUCTIONS[index_of("COPY", "constraints.txt") :]:
        follow(step, app, environment)
    for command in ("pip check", "ray --version", "python -m jobs.segment --cfg job manifest=m run=r"):
        subprocess.run(command, shell=True, cwd=app, env=environment, check=True)


def follow(step: Instruction, app: Path, environment: dict[str, str]) -> None:
    """Do on this machine what a COPY or RUN does while the image is built."""
    if step.name == "RUN":
        subprocess.run(step.argument, shell=True, cwd=app, env=environment, check=True)
        return
    *sources, _ = [word for word in step.argument.split() if not word.startswith("--")]
    for source in kept_by_dockerignore() if sources == ["."] else sources:
        copy = shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy
        copy(REPOSITORY / source, app / source)


def kept_by_dockerignore() -> list[str]:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    return [line[1:] for line in lines if line.startswith("!")]
