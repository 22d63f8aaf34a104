"""COCO as libraries write it: whole floats are ids, what tells no image is a fault."""

import json

import pytest

from pipeline.errors import ManifestError
from tests.inputs.detection_files import as_coco_annotations, as_coco_results, faults_in


def test_all_faults_of_a_result_in_coco_are_named_at_once(load, tmp_path):
    given = as_coco_results(tmp_path)
    nowhere = {"image_id": 99, "category_id": 9, "bbox": [1, 2], "score": 3}
    outside = {"image_id": 30, "category_id": 9, "bbox": [300, 1, 9, 9], "score": 0.5}
    (tmp_path / "results.json").write_text(json.dumps([nowhere, outside]))

    with pytest.raises(ManifestError) as error:
        load(**given)

    of_nowhere = [("0", c) for c in ("bbox", "category_id", "image_id", "score")]
    assert sorted(faults_in(error)) == [*of_nowhere, ("1", "box_xyxy"), ("1", "category_id")]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"image_id": 99}, "row 0, column image_id: found 99", id="no such image"),
        pytest.param({"image_id": [30]}, "row 0, column image_id: found None", id="a list in place of an id"),
        pytest.param({"bbox": [1, 2, 3]}, "row 0, column bbox: found [1, 2, 3]", id="half a box"),
        pytest.param({"bbox": [1, 2, -3, 4]}, "row 0, column box_xyxy", id="a negative width"),
        pytest.param({"category_id": 9}, "row 0, column category_id: found 9", id="no such class"),
        pytest.param({"score": "high"}, "row 0, column score: found high", id="no score"),
    ],
)
def test_wrong_results_in_coco_are_faults(change, fault, load, tmp_path):
    given = as_coco_results(tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    (tmp_path / "results.json").write_text(json.dumps([results[0] | change, *results[1:]]))

    with pytest.raises(ManifestError) as error:
        load(**given)

    assert fault in str(error.value)


def test_ids_in_coco_may_be_whole_floats(load, tmp_path):
    given = as_coco_results(tmp_path)
    expected = load(**given)
    results = json.loads((tmp_path / "results.json").read_text())
    floats = [r | {"image_id": float(r["image_id"]), "category_id": float(r["category_id"])} for r in results]
    (tmp_path / "results.json").write_text(json.dumps(floats))
    assert load(**given) == expected


@pytest.mark.parametrize("number", [30, None, 1.5])
def test_an_image_without_an_id_of_its_own_in_coco_is_a_fault(number, load, tmp_path):
    given = as_coco_annotations(tmp_path)
    content = json.loads((tmp_path / "instances.json").read_text())
    content["images"].append({"id": number, "file_name": "a/000013.jpg"})
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(ManifestError, match=rf"row 3, column images.id: found {number}; allowed: a whole"):
        load(**given)
