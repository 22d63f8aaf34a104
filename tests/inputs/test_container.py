import pytest

from pipeline.inputs.container import missing_bytes
from tests.inputs.clips import write_clip


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
@pytest.mark.parametrize("lost", [0, 1, 500])
def test_a_container_knows_how_much_of_it_is_gone(name, lost, tmp_path):
    path = write_clip(tmp_path / name, codec="libvpx-vp9" if name == "a.webm" else "libx264")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - lost])

    assert missing_bytes(path) == lost


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 100, b"\x1a\x45\xdf\xa3", b"\0\0\0\1ftyp"])
def test_what_is_no_container_lacks_nothing(data, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(data)

    assert missing_bytes(path) == 0


def test_whole_files_lack_nothing(shared_data):
    files = [path for path in (shared_data / "odd").rglob("*.*") if path.name != "fixture-moov.mov"]

    assert {path.name: missing_bytes(path) for path in files if missing_bytes(path)} == {}
