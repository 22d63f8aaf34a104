"""Compare a run's masks with true ones: `python -m jobs.evaluate run=OUT truth=DIR`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING
from rich.console import Console
from rich.table import Table

from jobs.edge import DONE, run_job
from pipeline.stages.evaluate import ObjectScore, evaluate, summarize
from pipeline.work.run_folder import RunFolder


@dataclass
class EvaluateJob:
    """Which run is compared with which truth."""

    run: str = MISSING
    truth: str = MISSING


def main(config: EvaluateJob) -> int:
    scores = evaluate(config.run, Path(config.truth))
    summary = summarize(scores)
    run = RunFolder.of(config.run)
    run.write_json("evaluation.json", summary)
    told = f"written to {run.root}/evaluation.json"
    Console().print(_table(scores, summary["mean_iou"]), told, sep="\n")
    return DONE


def _table(scores: Sequence[ObjectScore], mean_iou: float) -> Table:
    table = Table("video", "object", "frames", "J (mean IoU)", show_footer=True)
    for column, footer in zip(table.columns, ("all", str(len(scores)), "", f"{mean_iou:.4f}"), strict=True):
        column.footer = footer
    for score in scores:
        table.add_row(score.video_id, str(score.object_id), str(score.frames), f"{score.mean_iou:.4f}")
    return table


if __name__ == "__main__":
    run_job("evaluate", EvaluateJob, main)
