import fsspec
import numpy as np
import pytest
from supervision import ImageSink

from pipeline.errors import DecodeCorrupt, StorageError
from pipeline.inputs.images import decode_images
from pipeline.inputs.video import decode_video
from pipeline.stages.extract import IMAGE_NAME, ExtractConfig, Extracted, extract
from tests.inputs.clips import cut_short, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clips") / "a.mp4", frames=20)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.jpg")}


def test_frames_become_images_of_the_same_content(clip, tmp_path):
    assert extract(str(clip), tmp_path, ExtractConfig(quality=100)) == Extracted(20, 20)

    frames, images = list(decode_video(clip)), list(decode_images(tmp_path))
    assert [image.index for image in images] == [frame.index for frame in frames]
    for frame, image in zip(frames, images, strict=True):
        assert np.abs(frame.image.astype(int) - image.image).mean() < 1


def test_names_are_those_of_supervisions_image_sink(clip, tmp_path):
    extract(str(clip), tmp_path / "ours", ExtractConfig())
    with ImageSink(str(tmp_path / "theirs")) as sink:
        for frame in decode_video(clip):
            sink.save_image(frame.image)

    stems = [sorted(path.stem for path in (tmp_path / name).glob("image_*")) for name in ("ours", "theirs")]
    assert stems[0] == stems[1]


@pytest.mark.parametrize("stop_after", [0, 1, 13, 20])
def test_going_on_gives_the_same_files(stop_after, clip, tmp_path):
    extract(str(clip), tmp_path / "whole", ExtractConfig())
    broken_off = tmp_path / "broken_off"
    extract(str(clip), broken_off, ExtractConfig())
    for index in range(stop_after, 20):
        (broken_off / IMAGE_NAME.format(index)).unlink()

    assert extract(str(clip), broken_off, ExtractConfig()) == Extracted(20, 20 - stop_after)
    assert contents(broken_off) == contents(tmp_path / "whole")


def test_going_on_repairs_a_broken_image(clip, tmp_path):
    extract(str(clip), tmp_path, ExtractConfig())
    before = contents(tmp_path)
    cut_short(tmp_path / IMAGE_NAME.format(7), 0.5)

    assert extract(str(clip), tmp_path, ExtractConfig()).written == 13
    assert contents(tmp_path) == before


def test_the_width_cap_and_the_quality_are_obeyed(clip, tmp_path):
    extract(str(clip), tmp_path / "good", ExtractConfig(quality=95))
    extract(str(clip), tmp_path / "poor", ExtractConfig(quality=30))
    extract(str(clip), tmp_path / "small", ExtractConfig(max_width_px=32))

    sizes = {name: sum(map(len, contents(tmp_path / name).values())) for name in ("good", "poor")}
    assert sizes["poor"] < sizes["good"]
    assert next(decode_images(tmp_path / "small")).image.shape == (24, 32, 3)


@pytest.mark.parametrize("change", [{"max_width_px": 32}, {"quality": 50}])
def test_frames_of_other_settings_never_mix(clip, tmp_path, change):
    extract(str(clip), tmp_path, ExtractConfig())
    before = contents(tmp_path)

    with pytest.raises(StorageError, match="extract into an empty folder"):
        extract(str(clip), tmp_path, ExtractConfig(**change))
    assert contents(tmp_path) == before


def test_frames_of_two_videos_never_mix(clip, tmp_path):
    extract(str(clip), tmp_path / "out", ExtractConfig())
    write_clip(tmp_path / "longer.mp4", frames=30)

    with pytest.raises(StorageError, match="holds frames of"):
        extract(str(tmp_path / "longer.mp4"), tmp_path / "out", ExtractConfig())


def test_the_frames_before_damage_are_kept(clip, tmp_path):
    damaged = tmp_path / "a.mkv"
    write_clip(damaged)
    intact = list(decode_video(damaged))
    cut_short(damaged, 0.6)

    with pytest.raises(DecodeCorrupt):
        extract(str(damaged), tmp_path / "out", ExtractConfig())

    assert 0 < len(contents(tmp_path / "out")) < len(intact)


def test_a_uri_is_as_good_as_a_path(clip, tmp_path):
    with fsspec.open("memory://extract/a.mp4", "wb") as file:
        file.write(clip.read_bytes())
    extract(str(clip), tmp_path / "path", ExtractConfig())
    extract("memory://extract/a.mp4", tmp_path / "uri", ExtractConfig())

    assert contents(tmp_path / "uri") == contents(tmp_path / "path")


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_that_jpeg_does_not_have_is_refused(quality):
    with pytest.raises(ValueError, match="quality"):
        ExtractConfig(quality)
