import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputMissing, PipelineError
from pipeline.stages.evaluate import ObjectScore, evaluate, jaccard, objects_of, summarize, truth_masks
from tests.outputs.tables import frame_masks, square, write_masks

EMPTY = np.zeros((12, 16), bool)
HALF = square(0) & (np.arange(16) < 1.5)  # 2 of 3 columns: (9 - 3) / 9 of the square


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param([1, 1, 0, 0], [1, 1, 0, 0], 1.0, id="the same"),
        pytest.param([1, 1, 0, 0], [0, 1, 1, 0], 1 / 3, id="one of three"),
        pytest.param([1, 0, 0, 0], [0, 0, 0, 1], 0.0, id="apart"),
        pytest.param([0, 0, 0, 0], [0, 1, 0, 0], 0.0, id="missed"),
        pytest.param([0, 0, 0, 0], [0, 0, 0, 0], 1.0, id="rightly unseen"),
    ],
)
def test_jaccard_is_intersection_over_union(a, b, expected):
    assert jaccard(np.array([a], bool), np.array([b], bool)) == pytest.approx(expected)


def test_a_video_with_many_objects_weighs_more():
    scores = [ObjectScore("a", 1, 5, 0.2), ObjectScore("a", 2, 5, 0.4), ObjectScore("b", 1, 9, 0.9)]
    summary = summarize(scores)

    assert summary["mean_iou"] == pytest.approx(0.5)
    assert summary["videos"]["a"]["mean_iou"] == pytest.approx(0.3)
    assert summary["videos"]["b"]["objects"] == {"1": {"mean_iou": 0.9, "frames": 9}}


@pytest.mark.parametrize(
    ("values", "object_ids"),
    [
        pytest.param([0, 0], [], id="background alone"),
        pytest.param([0, 255], [1], id="black and white is object 1"),
        pytest.param([255, 255], [1], id="white alone"),
        pytest.param([0, 1, 2], [1, 2], id="label image"),
        pytest.param([0, 3, 255], [3, 255], id="label image up to 255"),
    ],
)
def test_objects_of_a_label_image(values, object_ids):
    assert list(objects_of(np.array([values], np.uint8))) == object_ids


def write_truth(folder: Path, masks: dict[str, np.ndarray], frames: list[str] | None = None) -> Path:
    for name in frames or []:
        (folder / "frames").mkdir(parents=True, exist_ok=True)
        (folder / "frames" / f"{name}.jpg").touch()
    for name, mask in masks.items():
        (folder / "masks").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / f"{name}.png")
    return folder


@pytest.mark.parametrize(
    ("masks", "frames", "indices"),
    [
        pytest.param(["a", "b"], None, [0, 1], id="in order without frames"),
        pytest.param(["00", "20"], ["00", "10", "20"], [0, 2], id="by name: some frames have none"),
        pytest.param(["00", "99"], ["00", "10"], [0], id="a mask of no frame"),
    ],
)
def test_truth_belongs_to_the_frame_of_its_name(tmp_path, masks, frames, indices):
    write_truth(tmp_path, dict.fromkeys(masks, EMPTY), frames)
    assert [index for index, _ in truth_masks(tmp_path)] == indices


@pytest.mark.parametrize(
    ("prompted", "found", "mean_iou", "frames"),
    [
        pytest.param(
            [0], {0: EMPTY, 1: square(0), 2: square(0), 3: square(0)}, 1.0, 3, id="not the prompted"
        ),
        pytest.param([0], {0: EMPTY, 1: square(0), 2: HALF, 3: EMPTY}, (1 + 2 / 3) / 3, 3, id="the mean"),
        pytest.param([0, 2], {0: EMPTY, 1: HALF, 2: EMPTY, 3: HALF}, 2 / 3, 2, id="two prompted frames"),
        pytest.param([1], {1: EMPTY, 2: HALF, 3: HALF}, 2 / 3, 2, id="a late object"),
        pytest.param([0], {0: EMPTY, 1: square(0), 2: square(0)}, 2 / 3, 3, id="a missing row is empty"),
    ],
)
def test_frames_after_the_prompt_count(tmp_path, prompted, found, mean_iou, frames):
    masks = [frame_masks(i, {1: mask}, prompted=[1] if i in prompted else []) for i, mask in found.items()]
    write_masks(tmp_path / "run", "a/b", masks)
    write_truth(tmp_path / "truth" / "a%2Fb", {f"{i}": square(0) * 255 for i in range(4)})

    (score,) = evaluate(str(tmp_path / "run"), tmp_path / "truth")
    assert score == ObjectScore("a/b", 1, frames, pytest.approx(mean_iou))


def test_every_object_of_a_label_image_is_scored_alone(tmp_path):
    other = square(6)
    write_masks(
        tmp_path / "run", "x", [frame_masks(i, {1: square(0), 2: EMPTY, 9: other}, [1, 2, 9]) for i in (0,)]
    )
    write_masks(
        tmp_path / "run", "x", [frame_masks(1, {1: square(0), 2: EMPTY, 9: other})], shard_id="x~later"
    )
    write_truth(tmp_path / "truth" / "x", {f"{i}": square(0) * 1 + other * 2 for i in range(2)})

    # Object 9 is not in the truth: there is nothing to say about it.
    assert evaluate(str(tmp_path / "run"), tmp_path / "truth") == [
        ObjectScore("x", 1, 1, 1.0),
        ObjectScore("x", 2, 1, 0.0),
    ]


def test_truth_of_another_size_is_refused(tmp_path):
    write_masks(
        tmp_path / "run", "x", [frame_masks(i, {1: square(0)}, [1] if not i else []) for i in range(2)]
    )
    write_truth(tmp_path / "truth" / "x", {f"{i}": np.zeros((6, 8)) for i in range(2)})
    with pytest.raises(PipelineError, match=r"1.png: is 8x6 pixels, expected the masks' size, 16x12"):
        evaluate(str(tmp_path / "run"), tmp_path / "truth")


def test_truth_of_other_videos_is_named(tmp_path):
    write_masks(tmp_path / "run", "x", [frame_masks(0, {1: square(0)}, [1])])
    write_truth(tmp_path / "truth" / "y", {"0": square(0)})
    with pytest.raises(InputMissing, match="found none"):
        evaluate(str(tmp_path / "run"), tmp_path / "truth")


def read_truth(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image) > 0  # 255 in one, 1 in the other


def test_the_true_masks_of_real_videos_score_one_and_late_ones_less(shared_data, tmp_path):
    for folder in (shared_data / "truth" / "davis" / "tennis", shared_data / "truth" / "chair"):
        masks = [read_truth(path) for _, path in truth_masks(folder)][:12]
        late = [masks[0], *masks[:-1]]
        both = [frame_masks(i, {1: m}, [1] if i == 0 else []) for i, m in enumerate(masks)]
        write_masks(tmp_path / "exact", folder.name, both)
        write_masks(
            tmp_path / "late",
            folder.name,
            [frame_masks(i, {1: m}, [1] if i == 0 else []) for i, m in enumerate(late)],
        )
        short = tmp_path / "truth" / folder.name / "masks"
        short.mkdir(parents=True)
        for i, (_, path) in zip(range(12), truth_masks(folder), strict=False):
            (short / f"{i:05d}.png").symlink_to(path)

    exact, shifted = (evaluate(str(tmp_path / name), tmp_path / "truth") for name in ("exact", "late"))
    assert [(score.frames, score.mean_iou) for score in exact] == [(11, 1.0)] * 2
    assert all(0.2 < score.mean_iou < 1 for score in shifted)


def test_the_job_prints_a_table_and_writes_it_down(tmp_path):
    run, truth = tmp_path / "run", tmp_path / "truth"
    write_masks(run, "x", [frame_masks(i, {1: square(0)}, [1] if i == 0 else []) for i in range(3)])
    write_truth(truth / "x", {f"{i}": square(0) for i in range(3)})
    done = subprocess.run(
        [sys.executable, "-m", "jobs.evaluate", f"run={run}", f"truth={truth}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "1.0000" in done.stdout
    assert json.loads((run / "evaluation.json").read_text())["videos"]["x"]["objects"]["1"]["frames"] == 2
