"""Which kernel attends to memories fastest on this device: `python -m benchmarks.kernels`.

Keys have 256 channels and values 64, since values are absorbed (`docs/engine.md`). The engine's own choice,
`pipeline/engine/attention.py`, is made from this table and not while it runs.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention

from benchmarks.report import arguments, save, save_markdown, show
from pipeline.engine.attention import attend

CHANNELS, VALUE_CHANNELS = 256, 64
MEMORIES, POINTER_TOKENS = 7, 64
BACKENDS = {
    "cpu": (SDPBackend.FLASH_ATTENTION,),
    "cuda": (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION),
}
TEXT = """# Kernels of memory attention

Milliseconds for one layer and all lanes, medians. "padded" fills values up to the keys' channels, which some
kernels ask for; a kernel that refuses says so. Difference is the largest to fp64, of values around 1."""

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--image-size", type=int, nargs="+", default=None, metavar="PX")
    parser.add_argument("--lanes", type=int, nargs="+", default=None, metavar="N")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    on_cuda = options.device == "cuda"
    sizes = options.image_size or ([1024] if on_cuda else [512])
    lanes = options.lanes or ([1, 4, 16] if on_cuda else [1, 4])
    figures = [
        figure
        for size in sizes
        for count in lanes
        for figure in measure(size, count, torch.device(options.device), options.repeats)
    ]
    rows = [{name: str(value) for name, value in figure.items()} for figure in figures]
    show("Kernels of memory attention", rows)
    save(options.out, "kernels", figures)
    save_markdown(options.out, "kernels", TEXT, rows)


def measure(image_size: int, lanes: int, device: torch.device, repeats: int) -> Iterator[dict[str, Any]]:
    """Yield one figure a kernel."""
    tokens = (image_size // 16) ** 2
    keys = MEMORIES * tokens + POINTER_TOKENS
    shapes = (tokens, CHANNELS), (keys, CHANNELS), (keys, VALUE_CHANNELS)
    exact = [torch.randn(lanes, *shape, generator=torch.Generator().manual_seed(0)) for shape in shapes]
    exact[0] *= CHANNELS**-0.5
    query, key, value = (x.to(device, torch.bfloat16) for x in exact)
    truth = attend(query[:1].double().cpu(), key[:1].double().cpu(), value[:1].double().cpu())
    for name, kernel in kernels(device).items():
        found = {"px": image_size, "lanes": lanes, "kernel": name, "milliseconds": "", "difference": ""}
        try:
            out = kernel(query, key, value)
            found["milliseconds"] = round(
                _milliseconds(partial(kernel, query, key, value), device, repeats), 3
            )
            found["difference"] = f"{float((out[:1].double().cpu() - truth).abs().max()):.1e}"
        except RuntimeError as error:
            found["milliseconds"] = f"refused: {str(error).splitlines()[0][:60]}"
        yield found


def kernels(device: torch.device) -> dict[str, Kernel]:
    """Return what can be tried on a device, by name."""
    found: dict[str, Kernel] = {"the engine's choice": attend}
    for backend in BACKENDS[device.type]:
        found[f"sdpa, {backend.name.lower()}"] = partial(_sdpa, backend, 0)
        found[f"sdpa, {backend.name.lower()}, padded"] = partial(_sdpa, backend, CHANNELS - VALUE_CHANNELS)
    if device.type == "cuda":  # on a CPU it is many times slower
        found["flex"] = partial(_flex, torch.compile(flex_attention, dynamic=False))
    return found


def _sdpa(
    backend: SDPBackend, padding: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    values = F.pad(value, (0, padding))
    with sdpa_kernel(backend):
        out = F.scaled_dot_product_attention(query[:, None], key[:, None], values[:, None], scale=1.0)
    return out[:, 0, :, : value.shape[-1]]


def _flex(compiled: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return compiled(query[:, None], key[:, None], value[:, None], scale=1.0)[:, 0]


def _milliseconds(run: Callable[[], Any], device: torch.device, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return 1e3 * float(np.median(times))


if __name__ == "__main__":
    with torch.inference_mode():
        main()
