"""A file is complete or absent, and created once; names are safe and one to one."""

import errno
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StorageError
from pipeline.storage.files import complete_or_absent, create_once, link_or_copy, write_whole
from pipeline.storage.names import LONGEST_NAME_CHARS, path_name


def test_a_failing_block_leaves_neither_the_file_nor_a_rest_of_it(tmp_path):
    with pytest.raises(RuntimeError), complete_or_absent(tmp_path / "table.parquet") as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_failing_block_leaves_the_older_file_as_it_was(tmp_path):
    write_whole(tmp_path / "a", b"old")
    with pytest.raises(RuntimeError), complete_or_absent(tmp_path / "a") as partial:
        partial.write_bytes(b"new")
        raise RuntimeError
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("links", [True, False], ids=["with links", "on a disk without links"])
def test_a_second_name_is_complete_and_leaves_nothing_beside_it(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr("os.link", _refused)
    write_whole(tmp_path / "work" / "table", b"rows")
    link_or_copy(tmp_path / "work" / "table", tmp_path / "masks" / "table.parquet")
    link_or_copy(tmp_path / "work" / "table", tmp_path / "masks" / "table.parquet")
    assert [p.read_bytes() for p in (tmp_path / "masks").iterdir()] == [b"rows"]
    assert [p.name for p in (tmp_path / "work").iterdir()] == ["table"]


def _refused(*_):
    raise PermissionError("this disk has no links")


def _create(path_and_number):
    path, number = path_and_number
    return create_once(path, str(number).encode())


def test_of_many_racers_one_creates_the_file(tmp_path):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        for race in range(10):
            path = tmp_path / f"marker-{race}"
            won = list(pool.map(_create, [(path, number) for number in range(8)]))
            assert sum(won) == 1
            assert path.read_text() == str(won.index(True))


@pytest.mark.parametrize(
    "identifier", ["..", ".", "../../etc/passwd", "a/b", "_x", ".x", "~", "a b", "ü", "x" * 1000, "%2E"]
)
def test_no_identifier_leads_out_of_its_folder_or_hides_from_readers(tmp_path, identifier):
    name = path_name(identifier)
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert (tmp_path / name) != tmp_path
    assert name[0] not in "._"
    assert "~" not in name
    assert len(name) <= LONGEST_NAME_CHARS
    write_whole(tmp_path / name, b"x")


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_different_identifiers_have_different_names(one, other):
    assert (path_name(one) == path_name(other)) == (one == other)


def test_who_created_a_file_knows_it_though_the_answer_was_lost(tmp_path, monkeypatch):
    """NFS sends a request again whose answer was lost; the second one finds what the first one made."""
    link = os.link

    def link_twice(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr("os.link", link_twice)
    assert create_once(tmp_path / "marker", b"mine")
    monkeypatch.undo()
    assert not create_once(tmp_path / "marker", b"mine")


def test_the_name_of_a_long_identifier_is_no_other_identifiers_name():
    cut = path_name("a" * 200)
    assert path_name(cut) != cut


def test_a_disk_without_links_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(StorageError, match="no hard links"):
        create_once(tmp_path / "marker", b"mine")
