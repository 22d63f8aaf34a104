"""A real S3 server for the tests, and buckets in it."""

import os
import random
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

SCRIPT = Path(__file__).with_name("s3-server.sh")
KEY, SECRET = "TESTKEY", "TESTSECRET"


@dataclass(frozen=True)
class S3Server:
    """Ceph's gateway, which can be killed and started again with all that it holds."""

    folder: Path
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def do(self, action: str) -> None:
        subprocess.run([SCRIPT, action, self.folder, str(self.port)], check=True, stdout=subprocess.DEVNULL)

    @property
    def environment(self) -> dict[str, str]:
        """What leads a process to this server."""
        return leads_to(self.endpoint)

    def new_bucket(self) -> str:
        """Return the URI of a bucket that nobody else has."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        access = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=self.endpoint, **access).create_bucket(Bucket=name)
        return f"s3://{name}"


def leads_to(endpoint: str) -> dict[str, str]:
    """Return the environment in which S3 is where `endpoint` is."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory) -> Iterator[S3Server]:
    if shutil.which("radosgw") is None:
        if os.environ.get("REQUIRE_S3"):
            pytest.fail("no radosgw on this machine; see tests/storage/s3-server.sh")
        pytest.skip("no S3 server on this machine; tests/storage/s3-server.sh says what it needs")
    server = S3Server(tmp_path_factory.mktemp("s3"), _free_ports())
    server.do("start")
    yield server
    server.do("stop")


def _free_ports() -> int:
    """Return the first of three free ports below those that Ray gives to its workers."""
    for first in random.sample(range(5000, 9900, 50), 90):
        with ExitStack() as sockets:
            try:
                for port in range(first, first + 3):
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first
    pytest.fail("no free ports for an S3 server")


@pytest.fixture
def s3(s3_server, monkeypatch) -> S3Server:
    """The server, and an environment that leads to it, for this process and those that it starts."""
    use_endpoint(monkeypatch, s3_server.endpoint)
    return s3_server


def use_endpoint(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Let S3 be where `endpoint` is."""
    for name, value in leads_to(endpoint).items():
        monkeypatch.setenv(name, value)
