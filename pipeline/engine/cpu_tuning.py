"""What a process has to set so that a CPU spends its time on arithmetic."""

import ctypes
import sys

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST_MMAP_THRESHOLD_BYTES = 32 << 20  # more is refused
NEVER_TRIM_BYTES = 2**31 - 1


def tune_thread() -> None:
    """Compute with numbers too small for full precision as with zero, in this thread and what it starts.

    A sharp softmax is full of them, and each one costs as much as a hundred others.
    """
    torch.set_flush_denormal(True)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory, for the next tensor of the same size.

    By default, large tensors come fresh from the system every time: where each page that is touched first
    is slow, as on virtual machines, that costs more than what is computed in them.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda *_: 0)  # musl has none
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD_BYTES)
        mallopt(M_TRIM_THRESHOLD, NEVER_TRIM_BYTES)


def use_threads(count: int) -> None:
    """Let what this thread computes use so many threads."""
    # A thread takes the count that any thread set last when it first asks for it: so let it ask now.
    torch.get_num_threads()
    torch.set_num_threads(count)


def use_one_thread() -> None:
    """Keep what this thread computes to itself: the cores are the engine's."""
    use_threads(1)
