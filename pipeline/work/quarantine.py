"""Which shards were given up, and why: one JSON file each, for people and for the next run."""

from collections.abc import Iterable, Set
from dataclasses import asdict

from pipeline.records import Shard, ShardReport
from pipeline.storage.uris import shown
from pipeline.work.commits import publish, read_marker
from pipeline.work.ledger import forget_history
from pipeline.work.run_folder import RunFolder


def give_up(run: RunFolder, shard: Shard, report: ShardReport, last_frame: int | None) -> bool:
    """Record why a shard was given up; say whether it is: a worker cut off may have committed it after all.

    Args:
        last_frame: The last frame whose masks an attempt had stored.
    """
    if run.store.size_bytes(run.marker(shard.id)) is not None:
        publish(run, read_marker(run, shard.id))
        return False
    record = asdict(report)
    record["problem"]["last_frame"] = last_frame
    run.write_json(
        run.quarantine(shard.id),
        {"video_uri": shown(shard.video_uri), **record, "fingerprint": dict(shard.fingerprint)},
    )
    return True


def given_up(run: RunFolder, shards: Iterable[Shard], done: Set[str], retry: bool) -> set[str]:
    """Return the ids of the shards that stay given up, and forget the others' records.

    A shard is tried again where that was asked for, and where its video, prompts or config changed.

    Args:
        done: Ids of those that were committed, perhaps after they had been given up.
    """
    fingerprints = {shard.id: dict(shard.fingerprint) for shard in shards}
    staying = set()
    for record in list(run.read_all("quarantine")):
        shard_id = record["shard_id"]
        if not retry and shard_id not in done and fingerprints.get(shard_id) == record["fingerprint"]:
            staying.add(shard_id)
        else:
            forget_history(run, shard_id)
            run.store.remove(run.quarantine(shard_id))
    return staying
