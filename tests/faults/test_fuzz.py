"""Whatever bytes come as a video or as a manifest, they end in masks or in a named error, in bounded time."""

import random
import signal
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import PipelineError
from pipeline.inputs.frames import FramesConfig, open_frames
from pipeline.inputs.manifest import ManifestConfig, UnreadableVideos, load_manifest
from pipeline.inputs.probe import probe
from pipeline.inputs.source import SourceConfig
from pipeline.schemas import MANIFEST
from tests.clips import box, moving_shapes, write_manifest, write_video
from tests.conftest import REPOSITORY
from tests.faults.jobs import FORKS

SECONDS_PER_CASE = 20
LIMITS = FramesConfig(max_pixels=1 << 24, max_frames=2000)
CLIPS = sorted((REPOSITORY / "pipeline" / "bundled" / "clips").glob("*.mp4"))
FEW, MANY = 120, 2000


NUMBERS = [-1, 0, 7, 2**31 - 1, 2**40, 0.5, float("nan"), float("inf")]
TEXTS = ["", "../..", "\0", "x" * 5000, "correction", "s3://", "http://[", "file://ü", "zip://a::b"]
LISTS = [[], [[]], [[1.0, 2.0]], [1], [1.0, 2.0, 3.0, 4.0], [float("nan")] * 4, [3.0, 3.0, 1.0, 1.0]]
RLES = [{"size": size, "counts": b"\xff0"} for size in ([0, 0], [96, 160], [2**31 - 1] * 2, [-1, 5])]
WILD = [None, *NUMBERS, *TEXTS, *LISTS, *RLES]


def _holds(field: pa.Field, value: object) -> bool:
    """Say whether a column of a real Parquet file can hold a value."""
    schema = pa.schema([field])
    try:
        column = pa.Table.from_pylist([{field.name: value}], schema=schema)
        pq.write_table(column, pa.BufferOutputStream())
    except (pa.ArrowException, TypeError, OverflowError):
        return False
    return True


def damaged(data: bytes, seed: int) -> bytes:
    """Flip bytes, cut, repeat, or overwrite a stretch, anywhere or in the header alone."""
    dice = random.Random(seed)
    changed = bytearray(data)
    reach = dice.choice([64, 1024, len(changed)])
    for _ in range(dice.choice([1, 4, 32])):
        changed[dice.randrange(min(reach, len(changed)))] = dice.randrange(256)
    match dice.randrange(5):
        case 0:
            del changed[dice.randrange(len(changed)) :]
        case 1:
            start = dice.randrange(len(changed))
            changed[start : start + dice.randrange(4096)] = dice.randbytes(dice.randrange(4096))
        case 2:
            start = dice.randrange(len(changed))
            changed[start:start] = changed[start : start + dice.randrange(4096)]
    return bytes(changed)


def _watched(try_out, *arguments) -> str:
    """Return how it ended: `ok` or the name of one of this project's errors; anything else is raised.

    A hang is ended by a signal, which kills the process and shows as such.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS_PER_CASE)
    try:
        try_out(*arguments)
        return "ok"
    except PipelineError as error:
        return type(error).__name__
    finally:
        signal.alarm(0)


def _read_video(folder: str, original: str, seed: int) -> str:
    path = Path(folder) / f"{seed}.mp4"
    path.write_bytes(damaged(Path(original).read_bytes(), seed))
    try:
        return _watched(_decode, path)
    finally:
        path.unlink()


def _decode(path: Path) -> None:
    probe(path, LIMITS.max_pixels)
    for _ in open_frames(path, LIMITS):
        pass


def _read_manifest(folder: str, original: str, seed: int) -> str:
    path = Path(folder) / f"{seed}.parquet"
    path.write_bytes(damaged(Path(original).read_bytes(), seed))
    check = ManifestConfig(unreadable_videos=UnreadableVideos.keep, probe_threads=1)
    try:
        return _watched(load_manifest, str(path), check, SourceConfig(allowed_roots=[folder]))
    finally:
        path.unlink()


def _wild_manifest(folder: str, original: str, seed: int) -> str:
    """Change values of a sound manifest, not bytes."""
    dice = random.Random(seed)
    rows = pq.read_table(original).to_pylist()
    for _ in range(dice.randrange(1, 4)):
        field = dice.choice(list(MANIFEST))
        dice.choice(rows)[field.name] = dice.choice([value for value in WILD if _holds(field, value)])
    path = Path(folder) / f"{seed}.wild.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=MANIFEST), path)
    check = ManifestConfig(unreadable_videos=UnreadableVideos.keep, probe_threads=1)
    try:
        return _watched(load_manifest, str(path), check, SourceConfig(allowed_roots=[folder]))
    finally:
        path.unlink()


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> tuple[Path, list[Path], Path]:
    """A folder, some small sound videos of several kinds, and a sound manifest."""
    folder = tmp_path_factory.mktemp("fuzz")
    video = write_video(folder / "cam.mp4", moving_shapes(6))
    shared = REPOSITORY.parent / "shared" / "data" / "odd"
    odd = [path for path in sorted(shared.rglob("*")) if path.is_file()]
    small = [path for path in odd if 0 < path.stat().st_size < 400_000]
    manifest = write_manifest(folder / "prompts.parquet", [box("cam"), box("cam", 2, 3), box("cam", 3, 1)])
    return folder, [video, *small], manifest


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("kind", [_read_video, _read_manifest, _wild_manifest])
def test_every_case_ends_in_masks_or_in_a_named_error(originals, kind, count):
    folder, videos, manifest = originals
    from_files = videos if kind is _read_video else [manifest]
    with ProcessPoolExecutor(2, mp_context=FORKS) as processes:
        cases = [
            processes.submit(kind, str(folder), str(from_files[seed % len(from_files)]), seed)
            for seed in range(count)
        ]
        ends = Counter(case.result() for case in cases)
    print(f"{kind.__name__}: {dict(ends)}")
    assert sum(ends.values()) == count
    assert len(ends) > 1, "all ended alike: the cases are no test"
