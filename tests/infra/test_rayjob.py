"""The KubeRay job has the fields its operator knows; its pods are limited and unprivileged."""

import shlex
from importlib.metadata import version

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.infra.dockerfile import read_dockerfile

RAYJOB = yaml.safe_load((REPOSITORY / "infra" / "rayjob.yaml").read_text())
CLUSTER = RAYJOB["spec"]["rayClusterSpec"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
# The fields of `ray.io/v1` that the file may use, as KubeRay 1.5 defines them.
JOB_FIELDS = {
    "activeDeadlineSeconds",
    "backoffLimit",
    "entrypoint",
    "rayClusterSpec",
    "runtimeEnvYAML",
    "shutdownAfterJobFinishes",
    "submissionMode",
    "ttlSecondsAfterFinished",
}
CLUSTER_FIELDS = {"authOptions", "enableInTreeAutoscaling", "headGroupSpec", "rayVersion", "workerGroupSpecs"}
WORKER_FIELDS = {"groupName", "maxReplicas", "minReplicas", "rayStartParams", "replicas", "template"}

each_group = pytest.mark.parametrize("group", GROUPS, ids=["head", "gpu"])


def pod_of(group: dict) -> dict:
    return group["template"]["spec"]


def container_of(group: dict) -> dict:
    (container,) = pod_of(group)["containers"]
    return container


def test_every_field_is_one_of_the_custom_resource():
    assert (RAYJOB["apiVersion"], RAYJOB["kind"]) == ("ray.io/v1", "RayJob")
    assert RAYJOB["spec"].keys() <= JOB_FIELDS
    assert CLUSTER.keys() <= CLUSTER_FIELDS
    assert CLUSTER["headGroupSpec"].keys() == {"rayStartParams", "template"}
    for group in CLUSTER["workerGroupSpecs"]:
        assert group.keys() == WORKER_FIELDS


def test_it_runs_a_job_of_this_repository_and_leaves_no_cluster_behind():
    python, flag, module, *overrides = shlex.split(RAYJOB["spec"]["entrypoint"])

    assert (python, flag) == ("python", "-m")
    assert (REPOSITORY / f"{module.replace('.', '/')}.py").is_file()
    assert {override.split("=")[0] for override in overrides} == {"manifest", "run"}
    assert RAYJOB["spec"]["shutdownAfterJobFinishes"] is True


def test_the_operator_is_told_the_version_of_ray_in_the_image():
    assert CLUSTER["rayVersion"] == version("ray")


@each_group
def test_start_parameters_are_text_as_the_custom_resource_wants(group):
    assert all(isinstance(value, str) for value in group["rayStartParams"].values())


@each_group
def test_a_pod_asks_for_as_much_as_it_may_use(group):
    resources = container_of(group)["resources"]

    assert resources["requests"] == resources["limits"]
    assert {"cpu", "memory"} <= resources["limits"].keys()


def test_only_workers_have_a_gpu():
    gpus = [container_of(group)["resources"]["limits"].get("nvidia.com/gpu") for group in GROUPS]

    assert gpus == [None, 1]


@each_group
def test_shared_memory_holds_rays_object_store(group):
    shm = next(volume for volume in pod_of(group)["volumes"] if volume["name"] == "shm")

    assert {"name": "shm", "mountPath": "/dev/shm"} in container_of(group)["volumeMounts"]
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert int(group["rayStartParams"]["object-store-memory"]) < 2 * 1024**3


@each_group
def test_every_mount_has_its_volume(group):
    volumes = {volume["name"] for volume in pod_of(group)["volumes"]}

    assert {mount["name"] for mount in container_of(group)["volumeMounts"]} == volumes


@each_group
def test_pods_are_the_images_user_without_privileges(group):
    image_user = [
        step.argument for step in read_dockerfile(REPOSITORY / "infra" / "Dockerfile") if step.name == "USER"
    ][-1]

    assert pod_of(group)["securityContext"]["runAsNonRoot"] is True
    assert pod_of(group)["securityContext"]["runAsUser"] == int(image_user)
    assert container_of(group)["securityContext"]["allowPrivilegeEscalation"] is False


@each_group
def test_ray_asks_for_a_token(group):
    assert {"name": "RAY_AUTH_MODE", "value": "token"} in container_of(group)["env"]
    assert CLUSTER["authOptions"] == {"mode": "token"}
