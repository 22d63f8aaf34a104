"""`videos.parquet`: one row a video, from what the run folder says of its shards."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import Shard
from pipeline.schemas import VIDEOS
from pipeline.storage.uris import shown
from pipeline.work.run_folder import RunFolder


def write_videos(run: RunFolder, shards: Iterable[Shard]) -> pa.Table:
    """Write and return the table of all videos of a run, by what is stored and nothing else."""
    done = {marker["shard_id"]: marker for marker in run.read_all("_commit")}
    given_up = {record["shard_id"]: record for record in run.read_all("quarantine")}
    by_video: dict[str, list[Shard]] = {}
    for shard in shards:
        by_video.setdefault(shard.video_id, []).append(shard)
    rows = [_row(video_shards, done, given_up) for video_shards in by_video.values()]
    table = pa.Table.from_pylist(rows, schema=VIDEOS)
    file = pa.BufferOutputStream()
    pq.write_table(table, file, compression="zstd")
    run.store.write(run.videos, file.getvalue().to_pybytes())
    return table


def _row(
    shards: Sequence[Shard], done: Mapping[str, Mapping], given_up: Mapping[str, Mapping]
) -> dict[str, Any]:
    finished = [done[shard.id] for shard in shards if shard.id in done]
    found = {object_id for shard in shards if shard.id in done for object_id in shard.object_ids}
    failed = [given_up[shard.id] for shard in shards if shard.id in given_up and shard.id not in done]
    problem = failed[0]["problem"] if failed else {}
    return {
        "video_id": shards[0].video_id,
        "video_uri": shown(shards[0].video_uri),
        "status": _status(len(shards), len(finished), len(failed)),
        "shards": len(shards),
        "objects": len(found),
        "frames": _covered(marker.get("span", [0, marker["frames"]]) for marker in finished),
        "seconds": sum(record["seconds"] for record in [*finished, *failed]),
        "frames_per_second": _speed(finished),
        "attempts": sum(record["attempts"] for record in [*finished, *failed]),
        "fault_class": problem.get("fault_class"),
        "message": problem.get("message"),
        "flags": sorted({flag for marker in finished for flag in marker.get("flags", ())}),
    }


def _speed(finished: Sequence[Mapping]) -> float | None:
    """Return frames/s of the attempts that won; what they took over from others does not count."""
    computed, seconds = (sum(marker[key] for marker in finished) for key in ("frames_computed", "seconds"))
    return computed / seconds if computed and seconds else None


def _covered(spans: Iterable[list[int]]) -> int:
    """Return how many frames lie in at least one of the spans [start, stop).

    >>> _covered([(4, 10), (0, 5), (20, 21)])
    11
    """
    count = end = 0
    for start, stop in sorted(map(tuple, spans)):
        count += max(0, stop - max(start, end))
        end = max(end, stop)
    return count


def _status(shards: int, finished: int, failed: int) -> str:
    if finished + failed < shards:
        return "unfinished"
    if not failed:
        return "done"
    return "partial" if finished else "quarantined"
