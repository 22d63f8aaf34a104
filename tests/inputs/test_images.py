import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DecodeCorrupt, InputMissing
from pipeline.inputs.images import decode_images
from tests.inputs.clips import cut_short, picture


def save(path, index=0, size_hw=(48, 64), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(index, *size_hw)).save(path, **options)
    return path


def test_images_come_in_natural_order_at_thirty_a_second(tmp_path):
    for value, name in enumerate(["f2.png", "f010.png", "f11.png", "f100.png"]):
        save(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("ignored")
    (tmp_path / ".f1.png").write_text("ignored too")

    frames = list(decode_images(tmp_path))

    assert [f.index for f in frames] == [0, 1, 2, 3]
    assert [f.time_seconds for f in frames] == pytest.approx([0, 1 / 30, 2 / 30, 3 / 30])
    assert all(np.array_equal(f.image, picture(f.index)) for f in frames)


@pytest.mark.parametrize("names", [["a.jpg", "b.jpeg"], ["a.JPG", "b.PNG"], ["9.png", "10.png"]])
def test_starting_later_leaves_the_first_images_out(names, tmp_path):
    for name in names:
        save(tmp_path / name)

    assert [frame.index for frame in decode_images(tmp_path, 1)] == [1]


def test_a_truncated_jpeg_is_named_after_the_frames_before_it(tmp_path):
    save(tmp_path / "a.jpg")
    cut_short(save(tmp_path / "b.jpg"), 0.7)
    frames = decode_images(tmp_path)
    next(frames)

    with pytest.raises(DecodeCorrupt, match=r"b\.jpg"):
        next(frames)


def test_an_image_of_another_size_is_named(tmp_path):
    save(tmp_path / "a.jpg")
    save(tmp_path / "b.jpg", size_hw=(10, 20))

    with pytest.raises(DecodeCorrupt, match=r"b\.jpg: frame 1 is 20x10 pixels, but a\.jpg is 64x48"):
        list(decode_images(tmp_path))


def test_an_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter clockwise
    save(tmp_path / "a.png", exif=exif)

    frame = next(decode_images(tmp_path))

    assert np.array_equal(frame.image, np.rot90(picture(0), -1))
    assert frame.video_size_hw == (64, 48)


def test_grey_and_palette_images_become_rgb(tmp_path):
    Image.fromarray(picture(0)).convert("L").save(tmp_path / "a.png")
    Image.fromarray(picture(0)).convert("P").save(tmp_path / "b.png")

    assert [frame.image.shape for frame in decode_images(tmp_path)] == [(48, 64, 3)] * 2


@pytest.mark.parametrize("folder", ["empty", "absent"])
def test_a_folder_without_images_is_missing(folder, tmp_path):
    (tmp_path / "empty").mkdir()

    with pytest.raises(InputMissing, match=folder):
        next(decode_images(tmp_path / folder))
