"""Make a Parquet manifest: from a readable CSV, or from folders of true masks."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from jobs.edge import DONE, run_job
from pipeline.errors import UsageError
from pipeline.inputs.manifest_write import (
    PromptKind,
    rows_from_csv,
    rows_from_truth,
    rows_of_manifest,
    write_manifest,
)


@dataclass
class ManifestJobConfig:
    out: str = MISSING
    csv: str | None = None
    base: str | None = None
    truth: str | None = None
    prompt: PromptKind = PromptKind.mask


def main(config: ManifestJobConfig) -> int:
    if (config.csv is None) == (config.truth is None):
        raise UsageError("give exactly one of csv=FILE and truth=DIR")
    if config.base is not None and config.csv is None:
        raise UsageError("base=MANIFEST goes with csv=FILE")
    out = Path(config.out)
    if config.csv is not None:
        base = rows_of_manifest(config.base, out.parent) if config.base else []
        rows = [*base, *rows_from_csv(Path(config.csv), out.parent, base)]
    else:
        rows = list(rows_from_truth(Path(str(config.truth)), config.prompt, out.parent))
    write_manifest(rows, out)
    print(f"{out}: {len(rows)} prompts of {len({row['video_id'] for row in rows})} videos")
    return DONE


if __name__ == "__main__":
    run_job("manifest", ManifestJobConfig, main)
