"""Of several attempts at a shard exactly one is published, whoever is cut off and wherever."""

import hashlib
import json
import uuid
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pipeline.errors import FaultClass, FingerprintChanged, StorageError, UsageError
from pipeline.records import Problem, Prompt, Shard, ShardReport, ShardStatus
from pipeline.work.commits import TABLE, Marker, commit, finished, publish, read_marker
from pipeline.work.fingerprints import changed_keys, digest_of, fingerprint
from pipeline.work.quarantine import give_up, given_up
from pipeline.work.run_folder import RunFolder, as_json

PROMPT = Prompt(1, 0, box_xyxy=(0, 0, 4, 4))
SHARD = Shard("cam~objects-1-2", "cam", "cam.mp4", (PROMPT,), fingerprint={"prompts": "a", "weights": "b"})


@pytest.fixture
def run(tmp_path):
    return RunFolder.of(str(tmp_path / "run"))


def attempt(run, content=b"rows", shard=SHARD):
    """Let one attempt come as far as its own finished table."""
    name = uuid.uuid4().hex
    with run.attempt(shard.id, name) as workspace:
        workspace.write(TABLE, content)
    return Marker(
        *(shard.id, shard.video_id, shard.video_uri, name, hashlib.sha256(content).hexdigest(), len(content)),
        rows=1, objects=1, frames=1, frames_computed=1, seconds=1.0, attempts=1,
        fingerprint=dict(shard.fingerprint),
    )  # fmt: skip


def published(run):
    return run.store.read(run.masks(SHARD.video_id, SHARD.id))


def attempts(run):
    return run.store.sizes(run.attempts(SHARD.id))


def test_the_winner_is_published_and_its_attempts_are_forgotten(run):
    assert commit(run, attempt(run, b"first"))
    assert published(run) == b"first"
    assert not attempts(run)


def test_the_second_to_commit_loses_and_changes_nothing(run):
    first, second = attempt(run, b"first"), attempt(run, b"second")
    assert commit(run, first)
    assert not commit(run, second)
    assert published(run) == b"first"


def test_a_marker_without_its_file_is_published_from_the_attempt_that_won(run):
    first, second = attempt(run, b"first"), attempt(run, b"second")
    assert run.store.create(run.marker(SHARD.id), _json(first))  # cut off between marker and publishing
    assert not commit(run, second)
    assert published(run) == b"first"


def test_a_restarted_driver_publishes_what_was_committed(run):
    run.store.create(run.marker(SHARD.id), _json(attempt(run)))
    assert finished(run, [SHARD]) == {SHARD.id}
    assert published(run) == b"rows"


def test_a_late_attempt_of_a_published_shard_harms_nothing(run):
    commit(run, attempt(run, b"first"))
    assert not commit(run, attempt(run, b"late"))
    assert published(run) == b"first"
    assert not attempts(run)


def test_a_table_that_is_not_the_committed_one_is_never_published(run):
    marker = attempt(run)
    run.store.create(run.marker(SHARD.id), _json(marker))
    run.store.write(next(iter(attempts(run))), b"other")
    with pytest.raises(StorageError, match="committed"):
        publish(run, marker)


def test_what_lies_under_the_final_name_gives_way_to_what_was_committed(run):
    run.store.write(run.masks(SHARD.video_id, SHARD.id), b"of an older run")
    assert commit(run, attempt(run, b"new"))
    assert published(run) == b"new"


def test_a_published_file_that_is_not_the_markers_is_told(run):
    commit(run, attempt(run, b"first"))
    run.store.write(run.masks(SHARD.video_id, SHARD.id), b"overwritten")
    with pytest.raises(StorageError, match="expected the 5 bytes"):
        finished(run, [SHARD])


def test_what_is_done_stays_done_when_its_video_is_gone(run):
    made = replace(SHARD, fingerprint=fingerprint(**BASE))
    commit(run, attempt(run, shard=made))
    gone = replace(SHARD, fingerprint=fingerprint(**{**BASE, "source": None}))
    assert finished(run, [gone]) == {SHARD.id}


def test_results_of_something_else_are_never_taken_for_done(run):
    commit(run, attempt(run))
    changed = replace(SHARD, fingerprint={"prompts": "a", "weights": "c"})
    with pytest.raises(FingerprintChanged, match="weights was b, is now c"):
        finished(run, [changed])


def test_shards_that_the_manifest_no_longer_has_are_named(run):
    commit(run, attempt(run))
    with pytest.raises(FingerprintChanged, match="split otherwise"):
        finished(run, [replace(SHARD, id="cam")])


def test_a_marker_is_read_as_it_was_written(run):
    marker = attempt(run)
    commit(run, marker)
    assert read_marker(run, SHARD.id) == marker


def test_other_stores_are_refused_by_name():
    with pytest.raises(UsageError, match="ftp://"):
        RunFolder.of("ftp://me:secret@bucket/run")


BASE = {"prompts": [PROMPT], "source": {"size_bytes": 3}, "config": {"a": 1}, "weights_sha256": "w"}


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({}, []),
        ({"prompts": [replace(PROMPT, object_id=2)]}, ["prompts"]),
        ({"prompts": [replace(PROMPT, label="cup")]}, ["prompts"]),
        ({"source": {"size_bytes": 4}}, ["source"]),
        ({"config": {"a": 2}}, ["config.a"]),
        ({"config": {"a": 1, "b": 0}}, ["config.b"]),
        ({"weights_sha256": "v"}, ["weights"]),
    ],
)
def test_a_fingerprint_changes_with_all_that_decides_the_masks_and_says_what(change, keys):
    before, now = fingerprint(**BASE), fingerprint(**{**BASE, **change})
    assert changed_keys(before, now) == keys
    assert (digest_of(before) == digest_of(now)) == (not keys)


def quarantined(run, shard=SHARD):
    problem = Problem(FaultClass.DECODE_CORRUPT, "frame 7 cannot be decoded", "traceback")
    report = ShardReport(shard.id, shard.video_id, ShardStatus.QUARANTINED, 1, problem=problem)
    return give_up(run, shard, report, last_frame=5)


def test_a_shard_given_up_stays_so_until_asked_for(run):
    quarantined(run)
    assert given_up(run, [SHARD], set(), retry=False) == {SHARD.id}
    assert given_up(run, [SHARD], set(), retry=True) == set()
    assert run.store.size_bytes(run.quarantine(SHARD.id)) is None


def test_a_shard_given_up_is_tried_again_when_its_video_changed(run):
    quarantined(run)
    mended = replace(SHARD, fingerprint={**SHARD.fingerprint, "source": "new"})
    assert given_up(run, [mended], set(), retry=False) == set()


def test_a_shard_given_up_that_was_committed_after_all_is_done(run):
    quarantined(run)
    commit(run, attempt(run))
    assert given_up(run, [SHARD], finished(run, [SHARD]), retry=False) == set()
    assert run.store.size_bytes(run.quarantine(SHARD.id)) is None


def test_what_was_committed_meanwhile_is_not_given_up(run):
    run.store.create(run.marker(SHARD.id), as_json(asdict(attempt(run, b"by a worker cut off"))))
    assert not quarantined(run)
    assert published(run) == b"by a worker cut off"
    assert run.store.size_bytes(run.quarantine(SHARD.id)) is None


def test_what_a_worker_of_an_earlier_driver_commits_meanwhile_is_not_taken_for_a_rest(run, monkeypatch):
    """Whichever folder is listed first: the commit comes right after the first listing."""
    late, sizes = [attempt(run, b"late")], type(run.store).sizes

    def sizes_then_commit(store, folder):
        found = sizes(store, folder)
        if late and folder in ("masks", "_commit"):
            commit(run, late.pop())
        return found

    monkeypatch.setattr(type(run.store), "sizes", sizes_then_commit)
    finished(run, [SHARD])
    assert not late
    assert finished(run, [SHARD]) == {SHARD.id}
    assert published(run) == b"late"


def test_a_record_cut_off_while_it_was_written_is_not_read(run):
    quarantined(run)
    (Path(run.root) / "quarantine" / ".cam.0123.partial.json").write_text('{"half')
    assert given_up(run, [SHARD], set(), retry=False) == {SHARD.id}


def test_quarantine_says_what_a_person_needs(run):
    quarantined(run)
    (record,) = run.read_all("quarantine")
    assert record["video_uri"] == "cam.mp4"
    assert record["problem"] == {
        "fault_class": "decode_corrupt",
        "message": "frame 7 cannot be decoded",
        "traceback": "traceback",
        "last_frame": 5,
    }


def _json(marker):
    return json.dumps(asdict(marker)).encode()
