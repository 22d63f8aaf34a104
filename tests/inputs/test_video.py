import re
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipeline.errors import DecodeCorrupt, InputMissing
from pipeline.inputs.video import count_frames, decode_video, displayed_size_hw, upright
from tests.inputs.clips import cut_short, write_clip, zeroed

# Frames and (height, width), or a fault and what its message says.
ODD_FILES = {
    "decord/corrupted.mp4": (DecodeCorrupt, "frame 28 cannot be decoded"),
    "decord/video_0.mov": (3, (320, 568)),
    "decord/video_180.mov": (3, (320, 568)),
    "decord/video_90.mov": (3, (568, 320)),
    "exoplayer/bear-vp9-odd-dimensions.webm": (30, (121, 161)),
    "exoplayer/dolbyVision-hdr.MOV": (4, (1280, 720)),
    "exoplayer/invalid-bitstream.webm": (DecodeCorrupt, "frame 0 cannot be decoded"),
    "exoplayer/roadtrip-vp92-10bit.webm": (72, (240, 426)),
    "exoplayer/sample.flv": (30, (720, 1080)),
    "exoplayer/sample_av1.mp4": (30, (720, 1080)),
    "exoplayer/sample_partially_fragmented.mp4": (30, (720, 1080)),
    "exoplayer/video_desks.3gp": (71, (288, 384)),  # stored 352 wide, pixels 12:11
    "file-type/fixture-corrupt.mkv": (DecodeCorrupt, "cannot be opened"),
    "file-type/fixture-mjpeg.mov": (15, (480, 640)),
    "file-type/fixture-moov.mov": (DecodeCorrupt, "cannot be opened"),
    "file-type/fixture.gif": (1, (133, 200)),
    "file-type/fixture.mov": (5, (156, 268)),  # 25 stored, an edit list shows 5
    "file-type/fixture.mpg": (19, (120, 160)),
    "mediabunny/annex-b.mp4": (DecodeCorrupt, "frame 5 is damaged"),
    "mediabunny/cursed-vfr.mp4": (63, (1386, 3026)),
    "mediabunny/multiple-aac-tracks.mp4": (DecodeCorrupt, "no video stream, found audio"),
    "mediabunny/rotate-buck-bunny.mp4": (45, (1920, 1080)),
    "mediabunny/sar_2x1.mp4": (150, (360, 1280)),
    "moviepy/-video-with-dash-.mp4": (5, (1, 1)),
    "moviepy/no_duration.webm": (74, (720, 1280)),
    "torchcodec/h264_10bits.mp4": (30, (200, 200)),
    "torchcodec/nasa_13013.mp4": (390, (270, 480)),  # the larger of two streams
}
GOOD_FILES = [name for name, (outcome, _) in ODD_FILES.items() if isinstance(outcome, int)]
# OpenCV takes the first of two streams, and its build has no AV1 decoder.
OPENCV_DIFFERS = {"torchcodec/nasa_13013.mp4", "exoplayer/sample_av1.mp4"}


def test_the_table_names_every_odd_file(shared_data):
    files = {path.relative_to(shared_data / "odd").as_posix() for path in (shared_data / "odd").rglob("*.*")}

    assert {name for name in files if not name.lower().endswith((".txt", "license"))} == set(ODD_FILES)


@pytest.mark.parametrize("name", ODD_FILES)
def test_an_odd_file_ends_in_frames_or_in_a_clear_error(name, shared_data):
    expected, detail = ODD_FILES[name]
    path = shared_data / "odd" / name
    if not isinstance(expected, int):
        with pytest.raises(expected, match=f"{re.escape(path.name)}.*{detail}"):
            list(decode_video(path))
        return

    seen = [(frame.index, frame.time_seconds, frame.image.shape[:2]) for frame in decode_video(path)]

    indices, times, sizes = zip(*seen, strict=True)
    assert indices == tuple(range(expected))
    assert set(sizes) == {detail}
    assert times[0] == 0
    assert all(earlier < later for earlier, later in pairwise(times))


@pytest.mark.parametrize("name", [name for name in GOOD_FILES if name not in OPENCV_DIFFERS])
def test_another_decoder_counts_the_same_frames(name, shared_data):
    capture = cv2.VideoCapture(str(shared_data / "odd" / name), cv2.CAP_FFMPEG)
    frames = 0
    while capture.grab():
        frames += 1

    assert count_frames(shared_data / "odd" / name) == frames


@pytest.mark.parametrize("name", ["video_90.mov", "video_180.mov"])
def test_rotation_is_applied_as_another_decoder_does(name, shared_data):
    path = shared_data / "odd" / "decord" / name
    _, bgr = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).read()

    image = next(decode_video(path)).image

    assert np.abs(image.astype(int) - bgr[..., ::-1]).mean() < 2


@pytest.mark.parametrize(
    ("matrix", "rows"),
    [
        pytest.param([[1, 0, 0], [0, 1, 0]], ["ab", "cd"], id="as it is"),
        pytest.param([[0, 1, 0], [-1, 0, 0]], ["ca", "db"], id="a quarter clockwise"),
        pytest.param([[0, -1, 0], [1, 0, 0]], ["bd", "ac"], id="a quarter counterclockwise"),
        pytest.param([[-1, 0, 0], [0, -1, 0]], ["dc", "ba"], id="upside down"),
        pytest.param([[-1, 0, 0], [0, 1, 0]], ["ba", "dc"], id="mirrored, as front cameras do"),
        pytest.param([[0, 1, 0], [1, 0, 0]], ["ac", "bd"], id="transposed"),
    ],
)
def test_a_display_matrix_turns_and_mirrors(matrix, rows):
    image = np.array([["a", "b"], ["c", "d"]])

    assert ["".join(row) for row in upright(image, np.array(matrix))] == rows


@pytest.mark.parametrize(
    ("aspect", "size_hw"),
    [(None, (360, 640)), (0, (360, 640)), (2, (360, 1280)), (0.5, (720, 640))],
)
def test_pixels_become_square_by_growing_one_side(aspect, size_hw):
    assert displayed_size_hw((360, 640), aspect) == size_hw


@pytest.mark.parametrize("start_frame", [1, 7, 19])
def test_starting_later_gives_the_same_frames(start_frame, tmp_path):
    path = write_clip(tmp_path / "a.mp4")
    whole = list(decode_video(path))[start_frame:]

    later = list(decode_video(path, start_frame))

    assert [f.index for f in later] == [f.index for f in whole]
    assert [f.time_seconds for f in later] == [f.time_seconds for f in whole]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(later, whole, strict=True))


def test_after_the_last_frame_that_is_wanted_nothing_is_decoded(tmp_path):
    path, skipped = write_clip(tmp_path / "a.mp4"), []
    found = list(decode_video(path, only=[2, 5], on_skipped=lambda: skipped.append(None)))
    assert [frame.index for frame in found] == [2, 5]
    assert len(skipped) == 4


def test_what_is_damaged_after_the_last_frame_that_is_wanted_does_not_matter(tmp_path):
    path, intact = cut_short(write_clip(tmp_path / "a.avi", codec="mpeg4"), 0.5), []
    with pytest.raises(DecodeCorrupt):
        for frame in decode_video(path):
            intact.append(frame.index)
    assert [frame.index for frame in decode_video(path, only=intact[-1:])] == intact[-1:]


def test_starting_past_the_end_gives_nothing(tmp_path):
    assert list(decode_video(write_clip(tmp_path / "a.mp4", frames=3), 3)) == []


DAMAGED = [
    ("a.mp4", "libx264", cut_short),
    ("a.mp4", "libx264", zeroed),
    ("a.mkv", "libx264", cut_short),
    ("a.mkv", "libx264", zeroed),
    ("a.ts", "libx264", cut_short),
    ("a.ts", "libx264", zeroed),
    ("a.avi", "mpeg4", cut_short),
    ("a.avi", "mpeg4", zeroed),
    ("a.mov", "mjpeg", cut_short),
    ("a.mov", "mjpeg", zeroed),
    ("a.webm", "libvpx-vp9", cut_short),  # zeros inside can pass: docs/decisions/damaged-video.md
]


@pytest.mark.parametrize(("name", "codec", "damage"), DAMAGED)
def test_damage_is_reported_and_no_frame_invented(name, codec, damage, tmp_path):
    path = write_clip(tmp_path / name, codec=codec)
    whole = [frame.image for frame in decode_video(path)]
    damage(path, 0.6)

    seen = []
    with pytest.raises(DecodeCorrupt, match=name):
        seen += (frame.image for frame in decode_video(path))

    assert len(seen) < len(whole)
    assert all(np.array_equal(a, b) for a, b in zip(seen, whole, strict=False))


def test_a_stream_may_end_its_index_first_and_be_cut_short(tmp_path):
    slow = write_clip(tmp_path / "slow.mp4")
    fast = tmp_path / "fast.mp4"
    with av.open(str(slow)) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)

    with pytest.raises(DecodeCorrupt, match="frame"):
        list(decode_video(cut_short(fast, 0.7)))


@pytest.mark.parametrize("name", ["-dash.mp4", "a:b.mp4", "http:a.mp4", "50%d.mp4", "ü ä.mp4"])
def test_any_file_name_is_only_a_name(name, tmp_path):
    plain = write_clip(tmp_path / "plain.mp4", frames=2)

    assert count_frames(plain.rename(tmp_path / name)) == 2


def test_a_playlist_cannot_reach_outside_its_file(tmp_path):
    playlist = tmp_path / "a.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")

    with pytest.raises(DecodeCorrupt):
        list(decode_video(playlist))


def test_a_missing_file_is_not_called_corrupt():
    with pytest.raises(InputMissing, match=r"nowhere\.mp4"):
        next(decode_video(Path("nowhere.mp4")))


def test_a_file_can_be_removed_and_left_half_way(tmp_path):
    frames = decode_video(write_clip(tmp_path / "a.mp4"))
    next(frames)
    frames.close()

    with pytest.raises(StopIteration):
        next(frames)
