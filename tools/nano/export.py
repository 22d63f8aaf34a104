"""Make the weights that ship: python -m tools.nano.export --state STATE --out WEIGHTS [--metrics JSON]

The averaged weights in fp16, with what they were trained on in the file's metadata. Written only if the
official classes load them strictly and the file is small enough to ship.
"""

import argparse
import datetime
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from pipeline.inputs.weights import read_weights
from pipeline.storage.files import complete_or_absent
from tools.nano.network import official_predictor

LARGEST_BYTES = 12 * 1024 * 1024
LICENCES = Path(__file__).with_name("licences.json")


def metadata(content: dict, metrics: Path | None) -> dict[str, str]:
    """Return what the file says of itself: strings by name, as safetensors wants them."""
    figures = json.loads(metrics.read_text()) if metrics else {}
    figures.get("truth", {}).pop("objects", None)
    return {
        "format": "pt",
        "config": "sam2_nano.yaml",
        "date": datetime.date.today().isoformat(),
        "steps": str(content["step"]),
        "training_seconds": str(round(content["seconds"])),
        "seed": str(content["seed"]),
        "history": json.dumps(content["history"]),
        "sources": LICENCES.read_text(),
        "metrics": json.dumps(figures),
    }


def export(state: Path, out: Path, metrics: Path | None) -> dict[str, torch.Tensor]:
    """Write the weights of a state, and return them as they are in the file.

    Raises:
        ValueError: The file would be too large.
        RuntimeError: The official classes refuse the weights.
    """
    content = torch.load(state, map_location="cpu", weights_only=True)
    weights = {name: tensor.half().contiguous() for name, tensor in content["average"].items()}
    with complete_or_absent(out) as partial:
        save_file(weights, partial, metadata(content, metrics))
        if partial.stat().st_size > LARGEST_BYTES:
            raise ValueError(
                f"{out}: {partial.stat().st_size} bytes, more than the {LARGEST_BYTES} that may ship"
            )
        official_predictor(read_weights(partial))
    return weights


def main(command_line: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--metrics", type=Path, help="what tools.nano.evaluate wrote, for the file's metadata"
    )
    given = parser.parse_args(command_line)
    weights = export(given.state, given.out, given.metrics)
    print(f"{given.out}: {len(weights)} tensors, {given.out.stat().st_size} bytes; loads strictly")


if __name__ == "__main__":
    main()
