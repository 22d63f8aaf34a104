"""One setting of the comparison, alone in its process: `python -m benchmarks.compare_one --system ours ...`.

Prints the figures, with `--json` as one line of JSON, the last of all. `benchmarks.compare` starts these
processes; nothing here needs Ray, a job or a runner.
"""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.agreement import PackedMasks, save_masks
from benchmarks.measure import Measured, measure_ticks
from benchmarks.models import model_of
from benchmarks.settings import Setting, System, add_setting, setting_of
from benchmarks.workload import Clip, clips


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    add_setting(parser)
    parser.add_argument("--masks", type=Path, help="file that the masks are stored in")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures, masks = measure(setting_of(options))
    if options.masks is not None:
        save_masks(masks, options.masks)
    lines = [f"{name}: {value}" for name, value in figures._asdict().items()]
    print(json.dumps(figures._asdict()) if options.json else "\n".join(lines))


def measure(setting: Setting) -> tuple[Measured, PackedMasks]:
    """Measure one setting. What only one system needs is imported for that system alone."""
    torch.backends.cudnn.allow_tf32 = False  # fp32 is to mean fp32, in convolutions too
    architecture = model_of(setting.model).architecture
    videos = clips(setting.videos, setting.objects, setting.frames, setting.image_size)
    if setting.system is System.ours_file:
        from benchmarks.ours_file import measure_files

        return measure_files(setting, architecture, videos)
    return _measure_in_memory(setting, architecture, videos)


def _measure_in_memory(
    setting: Setting, architecture: str, videos: Sequence[Clip]
) -> tuple[Measured, PackedMasks]:
    if setting.system is System.ours:
        from benchmarks.ours import Ours as Chosen
    elif setting.system is System.transformers:
        from benchmarks.huggingface import HuggingFace as Chosen
    else:
        from benchmarks.official import Official as Chosen
    return measure_ticks(partial(Chosen, setting, architecture), videos, setting)


if __name__ == "__main__":
    main()
