"""Whether embeddings tell people apart, and what they cost: `python -m benchmarks.identities CAMERAS`.

CAMERAS is a folder with pose2sim's two demos, in which four cameras each see one person or two, and some of
them somebody in the back. `cameras.csv` prompts each with a box on frame 0; its object ids say who is who.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.report import arguments, save, save_markdown, show
from benchmarks.truth import EXACT, job
from pipeline.engine.appearance import note_sightings
from pipeline.engine.state import VideoState
from pipeline.outputs.object_table import read_objects
from pipeline.records import Prompt
from pipeline.stages.clusters import Linkage
from pipeline.stages.identities import AcrossConfig, LinkConfig, Seen, WithinConfig, find_links
from pipeline.stages.link import seen_object
from tests.engine.scenes import condition, engine_of, nano_model, scene

PROMPTS = Path(__file__).parent / "cameras.csv"
EXTRACTORS = {"sam2": "null", "colours": "benchmarks.identities:colours"}
CASES = [
    ("sam2", False, Linkage.average, (0.8, 0.9, 0.95, 0.97, 0.985, 0.99)),
    ("sam2", False, Linkage.complete, (0.9, 0.97, 0.985)),
    ("sam2", True, Linkage.average, (0.2, 0.4, 0.6, 0.7, 0.8)),
    ("colours", False, Linkage.average, (0.7, 0.75, 0.8, 0.85, 0.9)),
]
TEXT = """# Identities across cameras

{objects} objects of 3 people in 8 videos, nano in fp32; `colours` is an extractor of one's own, a histogram
of 6x6x6 colours. A pair of objects of two cameras is found where linking makes them one, and right where
they are one person, as {right} of {pairs} are. AUC is how often a right pair is more alike than a wrong one;
0.5 is chance. `min_similarity` and the linkage are those of `across`.

Noting what objects look like takes {cost_1:.1%} of the time of a frame with one object, {cost_8:.1%} with 8
(encode, step, masks; nano in fp32, one thread)."""

Pairs = list[tuple[int, int]]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("cameras", type=Path, metavar="CAMERAS")
    parser.add_argument("--runs", type=Path, help="folder for the runs; those that are there are used")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        tables = {name: _objects(options.cameras, options.runs or Path(folder), name) for name in EXTRACTORS}
    pairs = _pairs(tables["sam2"], lambda one, other: camera(one) != camera(other))
    right = _pairs(tables["sam2"], lambda one, other: one.object_id == other.object_id)
    figures = [figure for case in CASES for figure in measure(tables[case[0]], pairs, set(right), *case)]
    about = {"objects": len(tables["sam2"]), "right": len({*right} & {*pairs}), "pairs": len(pairs)}
    about |= {f"cost_{count}": cost(count) for count in (1, 8)}
    rows = [_row(figure) for figure in figures]
    show("Identities across cameras", rows)
    save(options.out, "identities", {**about, "linking": figures})
    save_markdown(options.out, "identities", TEXT.format(**about), rows)


def colours(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An extractor: square roots of a histogram, so that their cosine is Bhattacharyya's coefficient."""
    counts, _ = np.histogramdd(pixels[mask], bins=(6, 6, 6), range=[(0, 256)] * 3)
    return np.sqrt(counts.flatten())


def _objects(cameras: Path, runs: Path, name: str) -> list[Seen]:
    run, manifest = runs / name, runs / "prompts.parquet"
    if not (run / "objects.parquet").exists():
        prompts = runs / "prompts.csv"
        prompts.write_text(PROMPTS.read_text().replace(",pose2sim", f",{cameras.resolve()}/pose2sim"))
        job("manifest", f"csv={prompts}", f"out={manifest}")
        job("segment", f"manifest={manifest}", f"run={run}", f"identity.extractor={EXTRACTORS[name]}", *EXACT)
    return [seen_object(row) for row in read_objects((run / "objects.parquet").read_bytes())]


def _pairs(objects: Sequence[Seen], belongs: Any) -> Pairs:
    return [(i, j) for i, j in combinations(range(len(objects)), 2) if belongs(objects[i], objects[j])]


def camera(one: Seen) -> str:
    """Return which camera sees an object: the two demos have the same ones, and one person in common."""
    return one.video_id.partition("_")[2]


def measure(
    objects: Sequence[Seen],
    pairs: Pairs,
    right: set[tuple[int, int]],
    extractor: str,
    centre: bool,
    linkage: Linkage,
    thresholds: Sequence[float],
) -> Iterator[dict[str, Any]]:
    """Yield how much of what is right is found, and how much of what is found is right, by threshold."""
    for threshold in thresholds:
        config = LinkConfig(WithinConfig(1.0), AcrossConfig(threshold, linkage), centre=centre)
        group = list(range(len(objects)))
        for link in find_links(objects, config):
            kept, gone = group[link.first], group[link.second]
            group = [kept if g == gone else g for g in group]
        found = {(i, j) for i, j in pairs if group[i] == group[j]}
        yield {
            "extractor": extractor,
            "centre": centre,
            "linkage": linkage.value,
            "auc": auc(objects, pairs, right, centre),
            "min_similarity": threshold,
            "precision": len(found & right) / len(found) if found else None,
            "recall": len(found & right) / len(right & set(pairs)),
            "identities": len(set(group)),
        }


def auc(objects: Sequence[Seen], pairs: Pairs, right: set[tuple[int, int]], centre: bool) -> float:
    """Return how often a right pair is more alike than a wrong one."""
    vectors = np.stack([np.asarray(one.embedding) for one in objects])
    vectors = vectors - vectors.mean(0) * centre
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    of_right, of_wrong = (
        np.array([vectors[i] @ vectors[j] for i, j in pairs if ((i, j) in right) is is_right])
        for is_right in (True, False)
    )
    return float((of_right[:, None] > of_wrong).mean())


def cost(objects: int, frames: int = 60, warmup: int = 20) -> float:
    """Return which share of a frame's time goes into noting what its objects look like."""
    engine, state = engine_of(nano_model()), VideoState()
    shown = scene(frames, engine.image_size_px)
    prompts = [Prompt(i, 0, box_xyxy=(16 + i, 16, 44 + i, 44)) for i in range(1, objects + 1)]
    condition(engine, state, shown, prompts, {})
    noting, all_of_it = [], []
    for frame in shown:
        started = time.perf_counter()
        (features,) = engine.encode([frame])
        (output,) = engine.step([(state, features)])
        engine.masks(output)
        before = time.perf_counter()
        note_sightings(state, features, output, stretches=8)
        noting.append(time.perf_counter() - before)
        all_of_it.append(time.perf_counter() - started)
    return float(np.median(noting[warmup:]) / np.median(all_of_it[warmup:]))


def _row(figure: dict[str, Any]) -> dict[str, str]:
    return {
        "extractor": figure["extractor"],
        "centre": str(figure["centre"]).lower(),
        "linkage": figure["linkage"],
        "AUC": f"{figure['auc']:.2f}",
        "min_similarity": f"{figure['min_similarity']:g}",
        "precision": "" if figure["precision"] is None else f"{figure['precision']:.2f}",
        "recall": f"{figure['recall']:.2f}",
        "identities (3 are right)": str(figure["identities"]),
    }


if __name__ == "__main__":
    main()
