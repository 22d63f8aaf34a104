"""COCO's compressed run lengths, checked before a decoder in C trusts them."""


def run_lengths(counts: bytes) -> list[int]:
    """Return the run lengths behind COCO's compressed counts.

    Each number is written in groups of five bits, lowest first, as bytes from 48 on with
    bit 32 for "more follows"; from the fourth number on it is the difference to the number
    two before.

    Raises:
        ValueError: the bytes are no such counts.

    >>> run_lengths(b"04")
    [0, 4]
    """
    runs: list[int] = []
    value = shift = 0
    for byte in counts:
        group = byte - 48
        if not 0 <= group < 64 or shift > 30:
            raise ValueError(f"byte {byte} is not part of COCO counts")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift or any(run < 0 for run in runs):
        raise ValueError("the counts break off" if shift else "a run is negative")
    return runs
