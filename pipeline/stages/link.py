"""`identities.parquet`: who is who among all objects of a run; masks and objects stay as they are."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputMissing, UsageError
from pipeline.outputs.object_table import read_objects
from pipeline.schemas import IDENTITIES
from pipeline.stages.identities import Link, LinkConfig, Seen, find_links
from pipeline.work.run_folder import RunFolder


class Linked(NamedTuple):
    """What linking came to."""

    objects: int
    without_embedding: int
    kinds: int  # that embeddings are of, by label, extractor and weights; these are never compared
    identities: int
    links_within: int  # a video
    links_across: int


def link(run: RunFolder, config: LinkConfig) -> Linked:
    """Write the identities of a run's objects.

    Raises:
        InputMissing: The run has no table of objects.
        UsageError: No object of it has an embedding.
    """
    try:
        rows = read_objects(run.store.read(run.objects))
    except FileNotFoundError as error:
        raise InputMissing(
            f"{run.root}: found no {run.objects}; python -m jobs.segment run={run.root} ... writes it, "
            "also where all masks are done"
        ) from error
    objects = [seen_object(row) for row in rows]
    with_embedding = [one for one in objects if one.embedding is not None]
    if objects and not with_embedding:
        raise UsageError(
            f"{run.root}/{run.objects}: none of {len(objects)} objects has an embedding; they are made while "
            "masks are, with identity.embeddings=true: segment into a fresh folder"
        )
    links = find_links(objects, config)
    table = identities_table(rows, links)
    file = pa.BufferOutputStream()
    pq.write_table(table, file, compression="zstd")
    run.store.write(run.identities, file.getvalue().to_pybytes())
    within = sum(rows[one.first]["video_id"] == rows[one.second]["video_id"] for one in links)
    return Linked(
        objects=len(rows),
        without_embedding=len(rows) - len(with_embedding),
        kinds=len({one.kind for one in with_embedding}),
        identities=len(set(table["identity_id"].to_pylist())),
        links_within=within,
        links_across=len(links) - within,
    )


def seen_object(row: dict[str, Any]) -> Seen:
    return Seen(
        video_id=row["video_id"],
        object_id=row["object_id"],
        kind=(row["label"], row["extractor"], row["weights_sha256"]),
        spans_seconds=tuple((span["start_seconds"], span["stop_seconds"]) for span in row["sure_spans"]),
        embedding=None if row["embedding"] is None else np.array(row["embedding"]),
    )


def identities_table(objects: Sequence[dict[str, Any]], links: Sequence[Link]) -> pa.Table:
    """Return one row an object, sorted by identity; identities count from 1, in the order of the objects."""
    group = list(range(len(objects)))
    at: dict[int, list[dict[str, Any]]] = defaultdict(list)
    scores: dict[int, float] = {}
    for one in links:
        kept, gone = sorted((group[one.first], group[one.second]))
        group = [kept if g == gone else g for g in group]
        for end, other in ((one.first, one.second), (one.second, one.first)):
            names = {name: objects[other][name] for name in ("video_id", "object_id")}
            at[end].append({**names, "similarity": one.similarity})
            scores[end] = max(scores.get(end, -1.0), one.score)
    number = {g: i for i, g in enumerate(dict.fromkeys(group), 1)}
    rows = [
        {
            "identity_id": number[group[i]],
            **{name: row[name] for name in ("video_id", "object_id", "label")},
            "score": scores.get(i),
            "links": at[i],
        }
        for i, row in enumerate(objects)
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["identity_id"]), schema=IDENTITIES)
