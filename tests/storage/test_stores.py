"""A disk and an object store keep the same promises, whatever becomes of a request on its way."""

import hashlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import StorageError, UsageError
from pipeline.storage.store import StorageConfig, open_store
from pipeline.storage.workspace import Workspace
from pipeline.work.epochs import refuse_careless_store
from pipeline.work.run_folder import RunFolder
from tests.one_at_a_time import ONE_AT_A_TIME
from tests.storage.fault_proxy import LOSE_REPLY, PASS, REFUSE, RESET, STALL, fault_proxy
from tests.storage.s3 import use_endpoint

QUICK = StorageConfig(connect_seconds=2, silent_seconds=1, retry_seconds=4)
NAMES = ["a", "b/c", "masks/%2E.%2Fsite%207~objects-1-2/%C3%BC.parquet"]


@pytest.fixture(params=["disk", *(pytest.param(server, marks=ONE_AT_A_TIME) for server in ("s3", "gcs"))])
def store(request, tmp_path):
    if request.param == "disk":
        return open_store(str(tmp_path / "run 1"), QUICK)
    return open_store(f"{request.getfixturevalue(request.param).new_bucket()}/run 1/x%20y", QUICK)


@pytest.fixture
def faulty(s3, monkeypatch):
    """A store behind a proxy, and the proxy."""
    bucket = s3.new_bucket()
    with fault_proxy(s3.endpoint) as proxy:
        use_endpoint(monkeypatch, proxy.endpoint)
        yield open_store(f"{bucket}/run", QUICK), proxy


def test_of_many_that_create_an_object_one_is_the_creator(store):
    with ThreadPoolExecutor(8) as threads:
        for race in range(5):
            won = list(threads.map(lambda i, name=f"m{race}": store.create(name, str(i).encode()), range(8)))
            assert sum(won) == 1
            assert store.read(f"m{race}") == str(won.index(True)).encode()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_listed_and_replaced(store, name):
    store.write(name, b"old")
    store.write(name, b"newer")
    assert store.read(name) == b"newer"
    assert store.sizes("") == {name: 5}
    assert store.size_bytes(name) == 5
    assert store.sha256(name) == hashlib.sha256(b"newer").hexdigest()


def test_a_folder_lists_all_below_it_and_nothing_beside_it(store):
    for name in ("run/a", "run/b/c", "runner/d", "e"):
        store.write(name, b"x")
    assert list(store.sizes("run")) == ["run/a", "run/b/c"]
    store.remove_all("run")
    assert list(store.sizes("")) == ["e", "runner/d"]


def test_what_is_not_there_is_told_and_its_removal_is_no_fault(store, tmp_path):
    for ask in (
        store.read,
        store.sha256,
        lambda n: store.copy(n, "b"),
        lambda n: store.fetch(n, tmp_path / n),
    ):
        with pytest.raises(FileNotFoundError):
            ask("absent")
    assert store.size_bytes("absent") is None
    assert store.sizes("absent") == {}
    store.remove("absent")
    store.remove_all("absent")


def test_a_large_file_is_kept_and_taken_by_another_workspace(store):
    data = os.urandom(20 << 20)
    with Workspace.opened(store, "work/one") as one, Workspace.opened(store, "work/two") as two:
        (one.folder / "span").write_bytes(data)
        one.keep("span")
        path = two.take("work/one/span")
        assert path.parent == two.folder
        assert path.read_bytes() == data
        one.drop("span")
        assert store.sizes("work") == {"work/two/span": len(data)}


def test_a_disks_workspace_is_the_stored_folder_itself(tmp_path):
    with Workspace.opened(open_store(str(tmp_path), QUICK), "work/one") as workspace:
        workspace.write("a", b"x")
        assert workspace.folder == tmp_path / "work" / "one"


@pytest.mark.parametrize("fate", [REFUSE, RESET, STALL])
def test_a_request_that_fails_now_and_then_is_repeated(faulty, fate):
    store, proxy = faulty
    turns = random.Random(1)
    proxy.fate = lambda _: fate if turns.random() < 0.3 else PASS
    for i in range(4):
        store.write(str(i), bytes([i]))
        assert store.read(str(i)) == bytes([i])
    assert len(store.sizes("")) == 4
    assert fate in dict(map(reversed, proxy.done))


@pytest.mark.parametrize("fate", [REFUSE, RESET, STALL])
def test_a_store_that_stays_away_is_named_within_bounded_time(faulty, fate):
    store, proxy = faulty
    proxy.fate = lambda _: fate
    started = time.monotonic()
    with pytest.raises(StorageError, match=f"{store.root}/a"):
        store.write("a", b"x")
    assert time.monotonic() - started < 40


def test_a_creator_whose_answer_was_lost_knows_that_it_won(faulty):
    store, proxy = faulty
    fates = iter([LOSE_REPLY])
    proxy.fate = lambda _: next(fates, PASS)
    assert store.create("marker", b"mine")
    assert proxy.done[0] == ("PUT", LOSE_REPLY)
    assert not store.create("marker", b"another's")
    assert store.read("marker") == b"mine"


def test_a_creator_whose_answer_was_lost_knows_that_it_lost(faulty):
    store, proxy = faulty
    store.create("marker", b"another's")
    fates = iter([LOSE_REPLY])
    proxy.fate = lambda _: next(fates, PASS)
    assert not store.create("marker", b"mine")


def test_without_keys_nothing_is_waited_for(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    started = time.monotonic()
    with pytest.raises(UsageError, match="no credentials for S3: AWS_ACCESS_KEY_ID"):
        open_store("s3://bucket/run", QUICK)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("uri", ["s3://", "gs:///runs", "s3:/bucket/runs", "ftp://host/runs"])
def test_what_is_no_place_for_a_run_is_refused(uri):
    with pytest.raises(UsageError, match=r"s3|gs|ftp"):
        open_store(uri, QUICK)


def test_a_bucket_that_is_not_there_is_named(s3):
    with pytest.raises(UsageError, match="no such bucket"):
        refuse_careless_store(RunFolder.of("s3://no-such-bucket-at-all/run", QUICK), QUICK)


def test_wrong_keys_are_named_at_once(s3, monkeypatch):
    bucket = s3.new_bucket()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageError, match="SignatureDoesNotMatch") as raised:
        open_store(f"{bucket}/run", QUICK).write("a", b"x")
    assert "wrong" not in str(raised.value)


def test_a_server_killed_and_started_again_has_all_that_it_took(s3):
    store = open_store(f"{s3.new_bucket()}/run", QUICK)
    store.write("a", b"x")
    s3.do("kill")
    with pytest.raises(StorageError):
        store.write("b", b"x")
    s3.do("again")
    assert store.sizes("") == {"a": 1}
    store.write("b", b"x")
