"""The comparison as a table for people."""

from collections.abc import Sequence

from benchmarks.figures import Figure, Peak, best_peer_frames_per_second, by_scenario
from benchmarks.report import Row
from benchmarks.settings import Precision, System

MIB = 2**20
UNKNOWN = "-"
SPEED_COLUMNS = ("frames/s", "object-frames/s", "x best peer", "peak, MiB", "start-up, s", "of floor")
NAMES = {
    System.ours: "ours",
    System.ours_file: "ours, file to Parquet",
    System.official: "official",
    System.official_compiled: "official, vos_optimized",
    System.transformers: "transformers",
}
# How each comes to bf16: the best way that it offers.
BF16 = {
    System.ours: "bf16",
    System.ours_file: "bf16",
    System.official: "bf16 autocast",
    System.official_compiled: "bf16 autocast",
    System.transformers: "bf16 weights",
}
TEXT = """# Ours beside every peer

Our engine ("ours"), our worker's stage ("file to Parquet"), the official `SAM2VideoPredictor` and
transformers' `Sam2VideoModel`, with the same weights: boxes on frame 0 of a bundled clip, looped. Each row
has a process of its own; they ran one after the other.

- **frames/s** are of all videos together, over each video's frames after its first {warmup}. Peers run
  several videos one after the other, since they have no other way.
- Peers get preprocessed frames on the device and leave their masks there. Ours begins with uint8 pixels and
  ends with masks on the host; file to Parquet also decodes, encodes and publishes.
- **x best peer** is beside the fastest row that is not ours, in whatever precision.
- **peak** is {peak}.
- **start-up** is from before the model is built to the masks of the first tracked frame.
- **of floor** is the share reached of the device's bf16 peak, by a frame's least time after exact rewrites
  (`benchmarks/floor.py`; 1024 px on CUDA alone).
- **IoU** is with the official masks in fp32, over all objects, frames and videos. fp32 is without TF32, and
  nobody fills holes."""
RANDOM = """

Weights of {models} are random. Speed and memory of the models do not mind, but masks are noise: Parquet is
larger and slower with their run lengths, and IoU means little, since logits lie around 0."""


def rows_of(figures: Sequence[Figure], peak: Peak) -> list[Row]:
    """Return one row a figure, each beside the best peer of its scenario, without empty columns."""
    rows = [
        _identity(figure) | _speed(figure, best_peer_frames_per_second(group), peak) | _rest(figure)
        for group in by_scenario(figures)
        for figure in group
    ]
    filled = [column for column in rows[0] if any(row[column] != UNKNOWN for row in rows)]
    return [{column: row[column] for column in filled} for row in rows]


def text_of(figures: Sequence[Figure]) -> str:
    """Return what one must know to read the table."""
    settings = [figure.setting for figure in figures]
    cuda = settings[0].device == "cuda"
    peak = "what torch had allocated on the device" if cuda else "resident memory of the process"
    text = TEXT.format(warmup=settings[0].warmup, peak=peak)
    random = sorted({setting.model for setting in settings if not setting.trained})
    return text + (RANDOM.format(models=", ".join(random)) if random else "")


def name_of(system: System, precision: Precision) -> str:
    """Return a system and what it computes in."""
    return f"{NAMES[system]}, {BF16[system] if precision is Precision.bf16 else 'fp32'}"


def in_short(figure: Figure) -> str:
    """Return what became of a setting, in one line."""
    setting = figure.setting
    where = f"{setting.model}, {setting.image_size} px, objects {setting.objects}, videos {setting.videos}"
    speed = f"{figure.measured.frames_per_second:.2f} frames/s" if figure.measured else ""
    outcome = ", ".join(filter(None, (speed, figure.problem)))
    return f"{where}, {name_of(setting.system, setting.precision)}: {outcome}"


def _identity(figure: Figure) -> Row:
    setting = figure.setting
    return {
        "model, px": f"{setting.model}, {setting.image_size}",
        "objects": str(setting.objects),
        "videos": str(setting.videos),
        "system": name_of(setting.system, setting.precision),
    }


def _speed(figure: Figure, best_peer: float | None, peak: Peak) -> Row:
    measured, share = figure.measured, figure.floor_share(peak, rewritten=True)
    if measured is None:
        return dict.fromkeys(SPEED_COLUMNS, UNKNOWN)
    speed = measured.frames_per_second
    return {
        "frames/s": f"{speed:.2f}",
        "object-frames/s": f"{speed * figure.setting.objects:.1f}",
        "x best peer": UNKNOWN if best_peer is None else f"{speed / best_peer:.2f}",
        "peak, MiB": f"{measured.peak_bytes / MIB:.0f}",
        "start-up, s": f"{measured.start_up_seconds:.1f}",
        "of floor": UNKNOWN if share is None else f"{100 * share:.0f} %",
    }


def _rest(figure: Figure) -> Row:
    near = figure.agreement
    return {
        "IoU, mean": UNKNOWN if near is None else f"{near.mean:.4f}",
        "IoU, least": UNKNOWN if near is None else f"{near.minimum:.4f}",
        "problem": (figure.problem or UNKNOWN).replace("|", "/"),
    }
