"""Google Cloud Storage's XML dialect before an S3 server, since no emulator at hand speaks it.

Only what differs is translated: bearer tokens, generations and their conditions, copies, and that the removal
of what is not there is a 404. What holds the data and decides races is the S3 server.
https://cloud.google.com/storage/docs/xml-api/reference-headers
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, quote, unquote, urlencode

import pytest
from aiohttp import web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.storage.http_server import ask, served
from tests.storage.s3 import KEY, SECRET, S3Server

TOKEN = "a-token-of-google"


@dataclass(frozen=True)
class GcsServer:
    """Buckets of an S3 server, served as Google's."""

    behind: S3Server
    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What leads a process to this server."""
        return {"GOOGLE_BASE_URL": self.endpoint, "GOOGLE_BEARER_TOKEN": TOKEN}

    def new_bucket(self) -> str:
        """Return the URI of a bucket that nobody else has."""
        return self.behind.new_bucket().replace("s3://", "gs://")


@pytest.fixture
def gcs(s3_server, monkeypatch) -> Iterator[GcsServer]:
    """The server, and an environment that leads to it, for this process and those that it starts."""
    with served(partial(_translated, s3_server.endpoint)) as endpoint:
        server = GcsServer(s3_server, endpoint)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


async def _translated(s3_endpoint: str, request: web.BaseRequest) -> web.StreamResponse:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return web.Response(status=401, text="<Code>AuthenticationRequired</Code>")
    url = s3_endpoint + _as_s3_path(request.raw_path)
    if request.method == "DELETE" and (await _signed("HEAD", url, {}, b"")).status == 404:
        return web.Response(status=404, text="<Code>NoSuchKey</Code>")
    answer = await _signed(request.method, url, _as_s3_headers(request), await request.content.read())
    if tag := answer.headers.get("ETag"):
        answer.headers["x-goog-generation"] = str(zlib.crc32(tag.encode()))
    return answer


def _as_s3_path(raw_path: str) -> str:
    """Escape what S3's signatures are made of as S3 does: slashes and spaces are where the two differ."""
    path, question_mark, query = raw_path.partition("?")
    parameters = parse_qsl(query, keep_blank_values=True)
    return (
        quote(unquote(path), safe="/-_.~") + question_mark + urlencode(parameters, quote_via=quote, safe="")
    )


def _as_s3_headers(request: web.BaseRequest) -> dict[str, str]:
    headers = {k.lower(): v for k, v in request.headers.items()}
    translated = {
        k: headers[k] for k in ("content-type", "range", "if-none-match", "if-match") if k in headers
    }
    if "x-goog-copy-source" in headers:
        translated["x-amz-copy-source"] = headers["x-goog-copy-source"]
    if (generation := headers.get("x-goog-if-generation-match")) is not None:
        assert generation == "0", "only creation is translated"
        translated["if-none-match"] = "*"
    return translated


async def _signed(method: str, url: str, headers: dict[str, str], body: bytes) -> web.Response:
    request = AWSRequest(method, url, headers=headers, data=body)
    S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    return await ask(method, url, dict(request.headers), body)
