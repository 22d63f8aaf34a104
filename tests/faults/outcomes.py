"""What every fault cost: collected by the tests, and made into the table of docs/reliability.md.

`python -m tests.faults.outcomes FILE...` writes the table from what one or more test runs have collected.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.faults.jobs import Table

PAGE = REPOSITORY / "docs" / "reliability.md"
BEGIN, END = "<!-- table: made by `make chaos` -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Outcome:
    """One fault, and what it led to."""

    fault: str
    rows_lost: int
    rows_doubled: int
    masks_changed: int
    frames_twice: int
    seconds: float  # from the fault, or the next start of the driver, to the whole table


def outcome(fault: str, expected: Table, found: Table, frames_twice: int, seconds: float) -> Outcome:
    """Compare the table after a fault with that of an undisturbed run."""
    return Outcome(
        fault,
        rows_lost=len(expected.keys() - found.keys()),
        rows_doubled=len(found.keys() - expected.keys()),
        masks_changed=sum(expected[key] != found[key] for key in expected.keys() & found.keys()),
        frames_twice=frames_twice,
        seconds=seconds,
    )


class Outcomes:
    """Collects outcomes, and refuses one that is worse than the promise."""

    def __init__(self, file: Path | None):
        self.file = file

    def add(self, found: Outcome) -> None:
        if self.file is not None:
            with self.file.open("a") as file:
                file.write(json.dumps(asdict(found)) + "\n")
        assert (found.rows_lost, found.rows_doubled, found.masks_changed) == (0, 0, 0), found


def table_of(outcomes: list[Outcome]) -> str:
    """Return a Markdown table, one line a fault."""
    lines = [
        "| fault | times | rows lost | rows doubled | masks changed | frames computed twice, at most "
        "| seconds to the whole table, median (most) |",
        "|---|---|---|---|---|---|---|",
    ]
    for fault in dict.fromkeys(o.fault for o in outcomes):
        of_one = [o for o in outcomes if o.fault == fault]
        seconds = sorted(o.seconds for o in of_one)
        lost, doubled, changed = (
            sum(getattr(o, name) for o in of_one) for name in ("rows_lost", "rows_doubled", "masks_changed")
        )
        twice = max(o.frames_twice for o in of_one)
        lines.append(
            f"| {fault} | {len(of_one)} | {lost} | {doubled} | {changed} | {twice} "
            f"| {seconds[len(seconds) // 2]:.1f} ({seconds[-1]:.1f}) |"
        )
    return "\n".join(lines)


def main(files: list[str]) -> None:
    """Put the table into the page."""
    lines = [line for file in files for line in Path(file).read_text().splitlines()]
    table = table_of([Outcome(**json.loads(line)) for line in lines])
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main(sys.argv[1:])
