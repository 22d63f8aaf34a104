"""Weights come from the package, a path or a server; fetched once, complete or absent."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from pipeline.engine.sam2_model import build_model
from pipeline.errors import WeightsError
from pipeline.inputs.weights import AUTO, read_weights, weights_file

NANO = "nano/sam2_nano.safetensors"


@pytest.fixture
def server(tmp_path):
    """Serve `tmp_path/served` on this machine; `server.requests` lists what was asked for."""
    folder, requests = tmp_path / "served", []
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            requests.append((self.command, self.path))

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    http.folder, http.requests = folder, requests
    http.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


@pytest.fixture
def official_file(server):
    """A file in the official layout, with the embedded model's tensors."""
    tensors = read_weights(weights_file(AUTO, NANO, server.folder))
    torch.save({"model": tensors}, server.folder / "sam2.1_test.pt")
    return f"{server.url}/sam2.1_test.pt"


def test_the_embedded_weights_fit_the_embedded_model(tmp_path):
    model = build_model("nano", read_weights(weights_file(AUTO, NANO, tmp_path)))
    assert sum(p.numel() for p in model.parameters()) == 4_135_234


def test_official_weights_are_fetched_from_a_server_and_load_strictly(official_file, tmp_path):
    path = weights_file(AUTO, official_file, tmp_path / "cache")
    build_model("nano", read_weights(path))
    assert path == tmp_path / "cache" / "sam2.1_test.pt"


def test_a_uri_given_by_the_user_is_fetched_likewise(official_file, tmp_path):
    path = weights_file(official_file, "https://unused.example/x.pt", tmp_path / "cache")
    assert read_weights(path).keys() == build_model("nano", None).state_dict().keys()


def test_two_files_of_one_name_are_two_files(official_file, server, tmp_path):
    (server.folder / "other").mkdir()
    (server.folder / "other" / "sam2.1_test.pt").write_bytes(b"another")
    one = weights_file(official_file, NANO, tmp_path / "cache")
    other = weights_file(f"{server.url}/other/sam2.1_test.pt", NANO, tmp_path / "cache")
    assert one.read_bytes() != other.read_bytes() == b"another"


def test_several_workers_fetch_it_once(official_file, server, tmp_path):
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda _: weights_file(AUTO, official_file, tmp_path / "cache"), range(6)))
    assert len(set(paths)) == 1
    assert sum(method == "GET" for method, _ in server.requests) == 1


def test_what_was_fetched_is_used_when_the_server_is_gone(official_file, server, tmp_path):
    first = weights_file(AUTO, official_file, tmp_path / "cache")
    server.shutdown()
    assert weights_file(AUTO, official_file, tmp_path / "cache") == first


def test_without_the_file_the_error_says_what_to_put_where(server, tmp_path):
    with pytest.raises(WeightsError) as error:
        weights_file(AUTO, f"{server.url}/sam2.1_hiera_large.pt", tmp_path / "cache")
    assert f"put sam2.1_hiera_large.pt at {tmp_path / 'cache' / 'sam2.1_hiera_large.pt'}" in str(error.value)
    assert not (tmp_path / "cache" / "sam2.1_hiera_large.pt").exists()


def test_a_transfer_cut_off_leaves_no_file(server, tmp_path):
    class Short(server.RequestHandlerClass.func):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")

    server.RequestHandlerClass = partial(Short, directory=str(server.folder))
    with pytest.raises(WeightsError, match=r"put cut\.pt at"):
        weights_file(AUTO, f"{server.url}/cut.pt", tmp_path / "cache")
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pt: no such file"):
        weights_file(str(tmp_path / "nowhere.pt"), NANO, tmp_path)


def test_another_models_weights_are_refused_with_what_differs():
    weights = build_model("sam2.1/sam2.1_hiera_t.yaml", None, 128).state_dict()
    with pytest.raises(WeightsError, match=r"not those of nano: .*of another shape"):
        build_model("nano", weights)


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 half a zip"])
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_damaged_file_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        read_weights(tmp_path / name)


class _Code:
    def __reduce__(self):
        return print, ("code from a weights file was run",)


def test_code_in_a_weights_file_is_never_run(tmp_path, capsys):
    torch.save({"model": _Code()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match=r"evil\.pt"):
        read_weights(tmp_path / "evil.pt")
    assert "was run" not in capsys.readouterr().out
