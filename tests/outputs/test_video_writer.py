import av
import numpy as np
import pytest

from pipeline.outputs.video_writer import video_writer


def write(path, times_seconds, size_hw=(48, 64), bgr=(40, 90, 200)):
    with video_writer(path) as write_frame:
        for time_seconds in times_seconds:
            write_frame(np.full((*size_hw, 3), bgr, np.uint8), time_seconds)


@pytest.mark.parametrize(
    "times_seconds",
    [
        pytest.param([0.0], id="one frame"),
        pytest.param([i / 30 for i in range(40)], id="constant rate"),
        pytest.param([i * 1001 / 30000 for i in range(40)], id="29.97 frames a second"),
        pytest.param([0.0, 0.04, 0.5, 0.52, 3.1], id="variable rate"),
    ],
)
def test_frames_are_on_show_when_they_were_written_for(tmp_path, times_seconds):
    write(tmp_path / "x.mp4", times_seconds)
    with av.open(tmp_path / "x.mp4") as container:
        shown = [frame.time for frame in container.decode(video=0)]
        duration_seconds = container.duration / av.time_base
    assert shown == pytest.approx(times_seconds, abs=1e-5)
    assert duration_seconds == pytest.approx(times_seconds[-1] + 1 / 30, abs=0.01)


@pytest.mark.parametrize(
    ("size_hw", "even_hw"),
    [((48, 64), (48, 64)), ((47, 63), (48, 64)), ((1, 1), (2, 2)), ((17, 64), (18, 64))],
)
def test_odd_sizes_grow_by_one_pixel(tmp_path, size_hw, even_hw):
    write(tmp_path / "x.mp4", [0, 1], size_hw)
    with av.open(tmp_path / "x.mp4") as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert [image.shape[:2] for image in images] == [even_hw] * 2


def test_the_file_is_what_browsers_play(tmp_path):
    write(tmp_path / "x.mp4", [0, 1])
    data = (tmp_path / "x.mp4").read_bytes()
    with av.open(tmp_path / "x.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
    assert data.index(b"moov") < data.index(b"mdat")  # playable before it is loaded whole


def test_colours_come_back(tmp_path):
    write(tmp_path / "x.mp4", [0, 1], bgr=(40, 90, 200))
    with av.open(tmp_path / "x.mp4") as container:
        image = next(container.decode(video=0)).to_ndarray(format="bgr24")
    assert image.mean(axis=(0, 1)) == pytest.approx([40, 90, 200], abs=4)


def test_what_is_cut_off_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError, match="decoder"), video_writer(tmp_path / "x.mp4") as write_frame:
        write_frame(np.zeros((48, 64, 3), np.uint8), 0.0)
        raise RuntimeError("decoder")
    assert list(tmp_path.iterdir()) == []
