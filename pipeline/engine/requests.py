"""Which of the work that waits is computed next, and together; and what becomes of a fault."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, eq=False)
class Request:
    """What one thread asks for: one or more items of a kind that is computed in batches."""

    kind: Callable[[list[Any]], list[Any]]  # from items to as many answers
    items: list[Any]
    video: object  # whatever tells videos apart
    at_once: int = 1  # how many items of this kind make a batch
    answer: Future = field(default_factory=Future)


def next_batch(waiting: Sequence[Request], idle_teams: int) -> list[Request]:
    """Return the request that has waited longest and one team's share of what can go with it.

    Requests of one video never go together: so with one video in flight, no batch depends on timing.

    Args:
        waiting: In the order of their coming: so no video, however long, waits for ever.
    """
    first = waiting[0]
    alike = [request for request in waiting if request.kind == first.kind]
    share = min(first.at_once, -(-sum(len(r.items) for r in alike) // idle_teams))
    batch, items, videos = [first], len(first.items), {id(first.video)}
    for request in alike:
        if id(request.video) not in videos and items + len(request.items) <= share:
            batch.append(request)
            items += len(request.items)
            videos.add(id(request.video))
    return batch


Compute = Callable[[Callable[[list[Any]], list[Any]], list[Any]], list[Any]]


def answer(batch: Sequence[Request], compute: Compute) -> None:
    """Compute requests of one kind together; if that fails, each alone, to see whose fault it was."""
    try:
        answers = iter(compute(batch[0].kind, [item for request in batch for item in request.items]))
    except Exception as error:
        if len(batch) == 1:
            batch[0].answer.set_exception(error)
        else:
            for request in batch:
                answer([request], compute)
    else:
        for request in batch:
            request.answer.set_result([next(answers) for _ in request.items])


def shares(items: Sequence[Any], parts: int) -> list[list[Any]]:
    """Cut items into at most so many lists of about the same length, none empty."""
    parts = min(parts, len(items))
    bounds = [len(items) * part // parts for part in range(parts + 1)] if parts else []
    return [list(items[start:stop]) for start, stop in pairwise(bounds)]
