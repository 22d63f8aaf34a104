import functools
import http.server
import threading

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from pipeline.errors import InputMissing, InputTooLarge, InputUnavailable
from pipeline.inputs.source import SourceConfig, localized, source_identity
from pipeline.storage.uris import shown

DATA = bytes(range(256)) * 40


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder, and the address it is served under by HTTP."""
    folder = tmp_path_factory.mktemp("served")
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def bucket():
    """An S3 bucket on a real server on this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="videos")
        yield client
    server.stop()


@pytest.fixture
def put(served, bucket):
    """Store one file under a scheme and return its URI."""

    def put(scheme, name, data=DATA):
        if scheme == "http":
            path = served[0] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            return f"{served[1]}/{name}"
        if scheme == "s3":
            bucket.put_object(Bucket="videos", Key=name, Body=data)
            return f"s3://videos/{name}"
        with fsspec.open(f"memory://videos/{name}", "wb") as file:
            file.write(data)
        return f"memory://videos/{name}"

    return put


@pytest.mark.parametrize("scheme", ["http", "s3", "memory"])
def test_a_remote_file_is_here_for_the_block_and_gone_after_it(scheme, put, tmp_path):
    uri = put(scheme, "a b.mp4")

    with localized(uri, SourceConfig(str(tmp_path / "cache"))) as path:
        assert path.read_bytes() == DATA
        assert path.suffix == ".mp4"

    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("scheme", ["s3", "memory"])
def test_a_remote_folder_comes_with_its_images_alone(scheme, put, tmp_path):
    for name in ("2.jpg", "10.PNG", "notes.txt", "below/1.jpg"):
        uri = put(scheme, f"frames/{name}", name.encode()).rpartition("/frames/")[0] + "/frames"

    with localized(uri, SourceConfig(str(tmp_path))) as path:
        assert {file.name: file.read_bytes() for file in path.iterdir()} == {
            "2.jpg": b"2.jpg",
            "10.PNG": b"10.PNG",
        }


@pytest.mark.parametrize("prefix", ["", "file://", "local://"])
def test_a_local_path_is_given_as_it_is(prefix, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(DATA)

    with localized(f"{prefix}{path}", SourceConfig()) as found:
        assert found == path


@pytest.mark.parametrize("scheme", ["http", "s3", "memory"])
def test_more_bytes_than_allowed_are_refused_and_removed(scheme, put, tmp_path):
    uri = put(scheme, "large.mp4")

    with (
        pytest.raises(InputTooLarge, match="large.mp4.*max_bytes"),
        localized(uri, SourceConfig(str(tmp_path), max_bytes=len(DATA) - 1)),
    ):
        pass

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["http", "s3", "memory"])
def test_what_is_not_there_is_missing(scheme, put):
    uri = put(scheme, "there.mp4").replace("there", "elsewhere")

    with pytest.raises(InputMissing, match=r"elsewhere\.mp4"), localized(uri, SourceConfig()):
        pass
    with pytest.raises(InputMissing, match=r"elsewhere\.mp4"):
        source_identity(uri, SourceConfig())


def test_a_missing_local_path_and_an_unknown_scheme_are_missing(tmp_path):
    for uri in (str(tmp_path / "a.mp4"), "nosuchscheme://a/b.mp4"):
        with pytest.raises(InputMissing, match=r"\.mp4"), localized(uri, SourceConfig()):
            pass


def test_a_server_that_does_not_answer_is_no_missing_video():
    with pytest.raises(InputUnavailable, match="127"), localized("http://127.0.0.1:9/a.mp4", SourceConfig()):
        pass


@pytest.mark.parametrize("scheme", ["http", "s3", "memory", "file"])
def test_another_content_has_another_identity(scheme, put, tmp_path):
    def stored(data):
        if scheme != "file":
            return put(scheme, "changing.mp4", data)
        (tmp_path / "changing.mp4").write_bytes(data)
        return str(tmp_path / "changing.mp4")

    uri = stored(b"one")
    first, unchanged = source_identity(uri, SourceConfig()), source_identity(uri, SourceConfig())
    stored(b"two, longer")

    assert first == unchanged
    assert first != source_identity(uri, SourceConfig())


def test_a_folder_changes_with_its_images_and_not_with_other_files(tmp_path):
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(DATA)
    before = source_identity(str(tmp_path), SourceConfig())

    (tmp_path / "notes.txt").write_text("new")
    with_notes = source_identity(str(tmp_path), SourceConfig())
    (tmp_path / "2.jpg").rename(tmp_path / "3.jpg")

    assert before == with_notes
    assert before["files"] == 2
    assert source_identity(str(tmp_path), SourceConfig()) != before


@pytest.mark.parametrize(
    ("uri", "seen"),
    [
        ("https://me:secret@host:8/a.mp4?sign=secret#x", "https://host:8/a.mp4"),
        ("s3://bucket/a.mp4", "s3://bucket/a.mp4"),
        ("/data/what?.mp4", "/data/what?.mp4"),
    ],
)
def test_people_see_no_secrets(uri, seen):
    assert shown(uri) == seen


def test_a_failing_uri_keeps_its_secrets(served):
    uri = served[1].replace("//", "//me:secret@") + "/none.mp4?token=secret"

    with pytest.raises(InputMissing) as caught, localized(uri, SourceConfig()):
        pass

    assert "secret" not in str(caught.value)
    assert "none.mp4" in str(caught.value)


class BusyHandler(QuietHandler):
    status = 503

    def do_GET(self):
        self.send_error(self.status)

    do_HEAD = do_GET


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, InputMissing), (403, InputMissing), (429, InputUnavailable), (500, InputUnavailable)],
)
def test_what_a_server_answers_decides_whether_asking_later_may_help(status, error):
    handler = type("Handler", (BusyHandler,), {"status": status})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}/a.mp4?X-Amz-Credential=K%2F2024&X-Amz-Signature=SECRET"
        with pytest.raises(error) as raised, localized(uri, SourceConfig()):
            pass
        server.shutdown()
    assert "SECRET" not in str(raised.value)


def test_a_name_longer_than_a_disk_takes_is_no_hindrance(put):
    uri = put("memory", "a" * 400 + ".mp4")
    with localized(uri, SourceConfig()) as path:
        assert path.suffix == ".mp4"


def test_all_images_of_a_local_folder_together_are_limited(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(DATA)
    with (
        pytest.raises(InputTooLarge, match="max_bytes"),
        localized(str(tmp_path), SourceConfig(max_bytes=2 * len(DATA))),
    ):
        pass
