"""The kernels of memory attention: one head, many keys, values narrower than keys.

Which kernel runs is settled by device and type alone, never by a timing: a run that is resumed on the
same kind of machine sums in the same order. `docs/engine.md` has the measurements behind the choice.
"""

import torch
import torch.nn.functional as F

# Scores of so many queries at a time stay within a core's caches on most CPUs.
QUERIES_AT_ONCE = 512
# So many scores are as well computed for several lanes at once, which saves operations.
SCORES_AT_ONCE = 1 << 22


def parts_of(lanes: int, scores: int, device: torch.device) -> list[slice]:
    """Return which lanes to attend for at once: on a CPU so few that what they need stays in the caches.

    Args:
        lanes: How many there are.
        scores: How many each has, queries times keys.
        device: Where they are.
    """
    at_once = max(1, SCORES_AT_ONCE // scores) if device.type == "cpu" else lanes
    return [slice(start, start + at_once) for start in range(0, lanes, at_once)]


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
        parts = parts_of(len(query), query.shape[1] * key.shape[1], query.device)
        kernel = _attend_in_chunks if len(parts) == len(query) else _attend_in_batch
        return torch.cat([kernel(query[part], key[part], value[part]) for part in parts])
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], scale=1.0)[:, 0]


def _attend_in_chunks(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attend for one lane by plain matrix products: on a CPU the fused kernel is slower for narrow values.

    One buffer holds the scores, again and again: fresh memory costs more than what is computed in it.
    """
    out = query.new_empty(*query.shape[:2], value.shape[-1])
    scores = query.new_empty(min(QUERIES_AT_ONCE, query.shape[1]), key.shape[1])
    for start in range(0, query.shape[1], QUERIES_AT_ONCE):
        rows = slice(start, min(start + QUERIES_AT_ONCE, query.shape[1]))
        own = scores[: rows.stop - start]
        torch.mm(query[0, rows], key[0].T, out=own)
        torch._softmax(own, -1, False, out=own)
        torch.mm(own, value[0], out=out[0, rows])
    return out


def _attend_in_batch(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attend likewise for several lanes that have few scores."""
    scores = torch.bmm(query, key.transpose(1, 2))
    torch._softmax(scores, -1, False, out=scores)
    return torch.bmm(scores, value)
