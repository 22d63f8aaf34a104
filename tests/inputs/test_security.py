"""A manifest is data by whoever wrote it: it can't make a run read elsewhere, or grow without bound."""

import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import InputMissing, InputTooLarge
from pipeline.inputs.allowed_roots import is_below
from pipeline.inputs.frames import FramesConfig, open_frames
from pipeline.inputs.probe import probe
from pipeline.inputs.source import SourceConfig, localized, source_identity
from tests.clips import moving_shapes, write_video

BELOW = [
    ("s3://videos/a/b.mp4", "s3://videos"),
    ("s3://videos/a/b.mp4", "s3://videos/a/"),
    ("https://me:secret@host/a.mp4?signature=1", "https://host"),
    ("s3://videos/a/../b.mp4", "s3://videos"),
]
OUTSIDE = [
    ("s3://videos/a/../../other/b.mp4", "s3://videos/a"),
    ("s3://videos/%2e%2e/other/b.mp4", "s3://videos/a"),
    ("s3://videos-2/a.mp4", "s3://videos"),
    ("s3://videos/ab.mp4", "s3://videos/a"),
    ("http://host/a.mp4", "https://host"),
    ("https://host.evil/a.mp4", "https://host"),
    ("https://host@evil/a.mp4", "https://host"),
    ("/etc/passwd", "s3://videos"),
    ("file:///etc/passwd", "/data"),
    ("/data/../etc/passwd", "/data"),
    ("zip://a.mp4::s3://other/b.zip", "zip://a.mp4"),
    ("s3://videos/a.mp4", "/"),
]


@pytest.mark.parametrize(("uri", "root"), BELOW)
def test_what_lies_below_a_root_is_allowed(uri, root):
    assert is_below(uri, root)


@pytest.mark.parametrize(("uri", "root"), OUTSIDE)
def test_what_lies_elsewhere_is_not(uri, root):
    assert not is_below(uri, root)


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "%2e%2e", ""]), max_size=8))
def test_no_mixture_of_dots_leads_out_of_a_root(parts):
    path = "/".join(parts)
    depth, lowest = 0, 0
    for part in path.replace("%2e", ".").split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        lowest = min(lowest, depth)
    if lowest < 0:
        inside = is_below(f"s3://bucket/root/{path}", "s3://bucket/root")
        assert not inside or depth >= 0


@pytest.fixture
def roots(tmp_path):
    """A folder of allowed videos with a link that leads out of it, and a config that allows that folder."""
    (tmp_path / "allowed" / "frames").mkdir(parents=True)
    write_video(tmp_path / "allowed" / "a.mp4", moving_shapes(3))
    write_video(tmp_path / "secret.mp4", moving_shapes(3))
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "allowed" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (tmp_path / "allowed" / "frames" / "0.png").symlink_to(tmp_path / "secret.png")
    return tmp_path, SourceConfig(allowed_roots=[str(tmp_path / "allowed")])


@pytest.mark.parametrize(
    "name", ["secret.mp4", "allowed/../secret.mp4", "allowed/link.mp4", "allowed/frames"]
)
def test_a_local_video_outside_the_roots_is_refused_links_and_dots_included(roots, name):
    folder, config = roots
    with pytest.raises(InputMissing, match="outside"), localized(f"{folder}/{name}", config):
        pass


def test_a_local_video_below_a_root_is_read(roots):
    folder, config = roots
    with localized(f"{folder}/allowed/a.mp4", config) as path:
        assert path.exists()
    assert source_identity(f"{folder}/allowed/a.mp4", config)["size_bytes"] > 0


def test_outside_the_roots_not_even_the_size_is_asked_for(roots):
    folder, config = roots
    with pytest.raises(InputMissing, match="outside"):
        source_identity(f"{folder}/secret.mp4", config)


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"]
)
def test_what_is_neither_file_nor_folder_is_refused_and_never_waited_for(tmp_path, make):
    make(tmp_path / "a.mp4")
    refused = pytest.raises(InputMissing, match="neither a file nor a folder")
    with refused, localized(str(tmp_path / "a.mp4"), SourceConfig()):
        pass


def test_a_local_file_over_the_limit_is_refused(tmp_path):
    write_video(tmp_path / "a.mp4", moving_shapes(3))
    refused = pytest.raises(InputTooLarge, match=r"max_bytes allows 10")
    with refused, localized(str(tmp_path / "a.mp4"), SourceConfig(max_bytes=10)):
        pass


def test_a_video_of_too_many_pixels_or_frames_is_refused(tmp_path):
    video = write_video(tmp_path / "a.mp4", moving_shapes(5))
    with pytest.raises(InputTooLarge, match=r"160x96 pixels, frames\.max_pixels allows 1000"):
        next(open_frames(video, FramesConfig(max_pixels=1000)))
    with pytest.raises(InputTooLarge, match=r"frames\.max_frames allows \(4\)"):
        list(open_frames(video, FramesConfig(max_frames=4)))
    assert len(list(open_frames(video, FramesConfig(max_frames=5, max_pixels=160 * 96)))) == 5


def png_that_declares(path, width, height):
    """Write a PNG of a hundred bytes whose header declares any number of pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side_px", [12_000, 60_000, 2_000_000])
def test_an_image_that_declares_billions_of_pixels_is_refused_by_its_header(tmp_path, side_px):
    png_that_declares(tmp_path / "0.png", side_px, side_px)
    with pytest.raises(InputTooLarge, match="pixels"):
        next(open_frames(tmp_path, FramesConfig()))
    with pytest.raises(InputTooLarge):
        probe(tmp_path)


def test_a_small_image_passes(tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "0.png")
    assert next(open_frames(tmp_path, FramesConfig(max_pixels=64))).image.shape == (8, 8, 3)
