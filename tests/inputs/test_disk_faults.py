"""What a disk or a machine does is not blamed on the video, which would be given up for ever."""

import errno
import os

import av
import pytest
from PIL import Image

from pipeline.errors import DecodeCorrupt, InputMissing, InputUnavailable
from pipeline.inputs.images import image_paths, read_image
from pipeline.inputs.source import SourceConfig, localized
from pipeline.inputs.video import decode_video
from tests.inputs.clips import write_clip


def failing(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "a.mp4", frames=5)


def test_a_process_with_too_many_open_files_is_no_damaged_video(clip, monkeypatch):
    monkeypatch.setattr(av, "open", failing(errno.EMFILE))
    with pytest.raises(InputUnavailable, match="Too many open files"):
        next(decode_video(clip))


def test_an_error_of_reading_is_the_videos_own_if_its_bytes_can_be_read(clip, monkeypatch):
    monkeypatch.setattr(av, "open", failing(errno.EIO))
    with pytest.raises(DecodeCorrupt):
        next(decode_video(clip))
    monkeypatch.setattr(type(clip), "open", failing(errno.EIO))
    with pytest.raises(InputUnavailable):
        next(decode_video(clip))


def test_an_image_on_a_failing_disk_is_not_damaged(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "0.jpg")
    monkeypatch.setattr(Image, "open", failing(errno.EIO))
    with pytest.raises(DecodeCorrupt):
        read_image(tmp_path / "0.jpg")
    monkeypatch.setattr(type(tmp_path), "open", failing(errno.EIO))
    with pytest.raises(InputUnavailable):
        read_image(tmp_path / "0.jpg")


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ESTALE, InputUnavailable), (errno.EACCES, InputMissing)]
)
def test_a_path_that_cannot_be_looked_at(tmp_path, monkeypatch, number, error):
    monkeypatch.setattr(type(tmp_path), "stat", failing(number))
    with pytest.raises(error), localized(str(tmp_path / "a.mp4"), SourceConfig()):
        pass


def test_a_pipe_among_images_is_none_of_them(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "1.jpg")
    os.mkfifo(tmp_path / "0.jpg")
    assert image_paths(tmp_path) == [tmp_path / "1.jpg"]
