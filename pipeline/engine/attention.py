"""The kernels of memory attention: one head, many keys, values narrower than keys.

Which kernel runs is settled by device and type alone, never by a timing: a run that is resumed on the
same kind of machine sums in the same order. `docs/engine.md` has the measurements behind the choice.
"""

import torch
import torch.nn.functional as F

# Scores of so many queries at a time stay within a core's caches on most CPUs.
QUERIES_AT_ONCE = 512


def parts_of(lanes: int, device: torch.device) -> list[slice]:
    """Return which lanes to attend for at once: on a CPU one, so that its keys stay in the caches."""
    if device.type == "cpu":
        return [slice(lane, lane + 1) for lane in range(lanes)]
    return [slice(lanes)]


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return softmax(query key^T) value; queries come scaled.

    Args:
        query: (lane, query, channel).
        key: (lane, key, channel).
        value: (lane, key, value channel).

    Returns:
        (lane, query, value channel).
    """
    if query.device.type == "cpu":
        return _attend_in_chunks(query, key, value)
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], scale=1.0)[:, 0]


def _attend_in_chunks(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attend by plain matrix products: on a CPU the fused kernel is slower where values are narrow.

    One buffer holds the scores, again and again: fresh memory costs more than what is computed in it.
    """
    out = query.new_empty(*query.shape[:2], value.shape[-1])
    scores = query.new_empty(min(QUERIES_AT_ONCE, query.shape[1]), key.shape[1])
    for lane in range(len(query)):
        for start in range(0, query.shape[1], QUERIES_AT_ONCE):
            rows = slice(start, min(start + QUERIES_AT_ONCE, query.shape[1]))
            own = scores[: rows.stop - start]
            torch.mm(query[lane, rows], key[lane].T, out=own)
            torch._softmax(own, -1, False, out=own)
            torch.mm(own, value[lane], out=out[lane, rows])
    return out
