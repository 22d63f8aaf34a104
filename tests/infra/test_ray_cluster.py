"""The Ray cluster file fits Ray's own schema and starts what the image has."""

import json
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml

from tests.conftest import REPOSITORY
from tests.infra.dockerfile import read_dockerfile


@pytest.fixture(scope="module")
def cluster() -> dict:
    return yaml.safe_load((REPOSITORY / "infra" / "ray-cluster.yaml").read_text())


def test_it_fits_rays_schema(cluster):
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())

    jsonschema.validate(cluster, schema)


def test_the_head_is_one_of_the_node_types_and_runs_no_shard(cluster):
    head = cluster["available_node_types"][cluster["head_node_type"]]

    assert head["resources"] == {"CPU": 0}


def test_workers_fit_into_the_cluster(cluster):
    assert cluster["available_node_types"]["gpu_worker"]["max_workers"] <= cluster["max_workers"]


def test_every_node_asks_for_the_token_that_is_copied_to_it(cluster):
    options = cluster["docker"]["run_options"]
    token_path = next(iter(cluster["file_mounts"]))

    assert "--env RAY_AUTH_MODE=token" in options
    assert f"--env RAY_AUTH_TOKEN_PATH={token_path}" in options


def test_the_token_lies_in_the_home_folder_of_the_images_user(cluster):
    home = next(
        word.removeprefix("HOME=")
        for step in read_dockerfile(REPOSITORY / "infra" / "Dockerfile")
        if step.name == "ENV"
        for word in step.argument.split()
        if word.startswith("HOME=")
    )

    assert next(iter(cluster["file_mounts"])).startswith(f"{home}/")
