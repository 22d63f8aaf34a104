import pytest
from PIL import Image

from pipeline.errors import DecodeCorrupt, InputMissing
from pipeline.inputs.probe import VideoFacts, probe
from pipeline.inputs.video import count_frames, decode_video
from tests.inputs.clips import cut_short, picture, write_clip


def test_a_files_facts(tmp_path):
    facts = probe(write_clip(tmp_path / "a.mp4", frames=20))

    assert facts == VideoFacts((48, 64), 20, pytest.approx(20 / 25))


def test_a_folders_facts(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(picture(0)).save(tmp_path / name)

    assert probe(tmp_path) == VideoFacts((48, 64), 3, pytest.approx(0.1))


@pytest.mark.parametrize(
    "name",
    [
        "decord/video_90.mov",
        "file-type/fixture.mov",
        "mediabunny/cursed-vfr.mp4",
        "exoplayer/sample_partially_fragmented.mp4",
        "exoplayer/roadtrip-vp92-10bit.webm",  # eight of its packets are not shown
    ],
)
def test_the_hint_covers_all_frames_and_all_times(name, shared_data):
    path = shared_data / "odd" / name

    facts = probe(path)

    assert facts.num_frames_hint >= count_frames(path)
    assert facts.duration_seconds > max(frame.time_seconds for frame in decode_video(path))


def test_a_missing_tail_shows_without_decoding(tmp_path):
    with pytest.raises(DecodeCorrupt, match=r"a\.mkv.*too early"):
        probe(cut_short(write_clip(tmp_path / "a.mkv"), 0.6))


def test_nothing_there(tmp_path):
    with pytest.raises(InputMissing):
        probe(tmp_path / "a.mp4")
