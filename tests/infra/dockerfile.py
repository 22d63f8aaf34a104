"""What tests need to know of a Dockerfile."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continuation lines joined."""

    name: str  # RUN, COPY, ...
    argument: str


def read_dockerfile(path: Path) -> list[Instruction]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [Instruction(*line.split(" ", 1)) for line in joined.splitlines()]
