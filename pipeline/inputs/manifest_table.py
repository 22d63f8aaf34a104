"""The manifest as it lies on disk: which files, which columns, which types."""

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from pipeline import schemas
from pipeline.inputs.source import faults_named
from pipeline.storage.uris import local_path, shown, without_secrets

A_MANIFEST = "a Parquet file (`python -m jobs.manifest` makes one of a CSV file)"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a manifest."""

    file: str
    row: int | None  # from 0 within the file; None: the whole file
    column: str
    found: str
    allowed: str

    def __str__(self):
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return without_secrets(f"{where}, column {self.column}: found {self.found}; allowed: {self.allowed}")


@dataclass(frozen=True)
class Row:
    """One row of a manifest file: Python values, of the right kind but not yet checked."""

    file: str
    row: int
    values: dict[str, Any] = field(repr=False)

    def fault(self, column: str, found: Any, allowed: str) -> Fault:
        return Fault(self.file, self.row, column, str(found), allowed)


def read_rows(
    uri: str, schema: pa.Schema = schemas.MANIFEST, wanted: str = A_MANIFEST
) -> tuple[list[Row], list[Fault]]:
    """Return all rows of a Parquet file, or of a folder of them, and what is wrong with the columns.

    A file with a missing or wrongly typed column gives no rows, only faults.

    Args:
        wanted: What is allowed in place of a file that is no Parquet.

    Raises:
        InputMissing: nothing is at `uri`.
        InputUnavailable: the store does not answer.
    """
    rows, faults = [], []
    for file, table in _tables(uri, wanted):
        if isinstance(table, Fault):
            faults.append(table)
            continue
        wrong = list(column_faults(file, table.schema, schema)) or list(_content_faults(file, table))
        faults += wrong
        if not wrong:
            values = enumerate(table.to_pylist())
            rows += [Row(file, number, dict.fromkeys(schema.names) | row) for number, row in values]
    if not rows and not faults:
        faults.append(Fault(shown(uri), None, "video_id", "no rows", "at least one row"))
    return rows, faults


def column_faults(file: str, found: pa.Schema, schema: pa.Schema = schemas.MANIFEST) -> Iterator[Fault]:
    """Yield what is wrong with a file's columns: missing, unknown, twice or of a wrong type."""
    for name in sorted(set(found.names) - set(schema.names)):
        yield Fault(file, None, name, "an unknown column", ", ".join(schema.names))
    for wanted in schema:
        types = [column.type for column in found if column.name == wanted.name]
        if not types and not wanted.nullable:
            yield Fault(file, None, wanted.name, "no such column", str(wanted.type))
        elif len(types) > 1:
            yield Fault(file, None, wanted.name, f"the column {len(types)} times", "once")
        elif types and not fits(types[0], wanted.type):
            yield Fault(file, None, wanted.name, str(types[0]), str(wanted.type))


def _content_faults(file: str, table: pa.Table) -> Iterator[Fault]:
    """Yield the columns whose bytes are not what their types say: the file is damaged."""
    for name in table.column_names:
        try:
            table[name].validate(full=True)
        except pa.ArrowException as error:
            yield Fault(file, None, name, str(error), "a whole Parquet file")


def fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Say whether a column of one type can hold values of another: widths do not matter.

    >>> fits(pa.int64(), pa.int32()), fits(pa.list_(pa.float64()), pa.list_(pa.float32(), 4))
    (True, True)
    >>> fits(pa.string(), pa.int32())
    False
    """
    if pa.types.is_null(found):
        return True
    if pa.types.is_dictionary(found):
        return fits(found.value_type, wanted)
    if pa.types.is_struct(wanted):
        return pa.types.is_struct(found) and _fields_fit(found, wanted)
    if _is_list(wanted):
        return _is_list(found) and fits(found.value_type, wanted.value_type)
    return _family(wanted).issuperset(_family(found))


def base_of(uri: str) -> str:
    """Return the folder that relative URIs in a manifest start from: its own, or itself."""
    with faults_named(uri):
        fs, path = url_to_fs(uri)
        is_folder = fs.isdir(path)
    local = local_path(uri)
    if local is not None:
        return str(local if is_folder else local.parent)
    return uri.rstrip("/") if is_folder else uri[: uri.rindex("/")]


def resolved(video_uri: str, base: str) -> str:
    """Return `video_uri` made absolute: relative ones start from `base`.

    >>> resolved("../a.mp4", "s3://bucket/runs"), resolved("gs://b/a.mp4", "/x")
    ('s3://bucket/a.mp4', 'gs://b/a.mp4')
    """
    if "://" in video_uri:
        return video_uri
    if "://" not in base:
        return str(Path(posixpath.normpath(Path(base).absolute() / Path(video_uri).expanduser())))
    scheme, rest = base.split("://", 1)
    return f"{scheme}://{posixpath.normpath(posixpath.join(rest, video_uri))}"


def seen_from(folder: Path, video_uri: str) -> str:
    """Return an absolute path as a file in that folder holds it; URIs stay as they are.

    >>> seen_from(Path("/runs"), "/clips/a.mp4"), seen_from(Path("/runs"), "gs://b/a.mp4")
    ('../clips/a.mp4', 'gs://b/a.mp4')
    """
    return video_uri if "://" in video_uri else os.path.relpath(video_uri, folder)


def _tables(uri: str, wanted: str) -> Iterator[tuple[str, pa.Table | Fault]]:
    with faults_named(uri):
        fs, path = url_to_fs(uri)
        files = [path] if fs.info(path)["type"] != "directory" else _parquet_files(fs, path)
        for file in files:
            name = shown(uri) if file == path else posixpath.join(shown(uri), posixpath.relpath(file, path))
            yield name, _read(fs, file, name, wanted)


def _parquet_files(fs: Any, folder: str) -> list[str]:
    """Every `*.parquet` below a folder, but for names that readers skip."""
    found = [name for name in fs.find(folder) if name.endswith(".parquet")]
    return sorted(name for name in found if posixpath.basename(name)[:1] not in ("_", "."))


def _read(fs: Any, file: str, name: str, wanted: str) -> pa.Table | Fault:
    with fs.open(file, "rb") as opened:
        data = opened.read()
    try:
        return pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # Arrow takes damage for failing I/O
        return Fault(name, None, "(all)", str(error).splitlines()[0], wanted)


def _fields_fit(found: Any, wanted: Any) -> bool:
    names = {member.name for member in found}
    return names == {member.name for member in wanted} and all(
        fits(found.field(member.name).type, member.type) for member in wanted
    )


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _family(kind: pa.DataType) -> frozenset[str]:
    """Integers fit where floats are wanted, and text where bytes are: COCO's counts are ASCII."""
    is_a = pa.types
    if is_a.is_integer(kind):
        return frozenset({"integer"})
    if is_a.is_floating(kind):
        return frozenset({"integer", "float"})
    if is_a.is_string(kind) or is_a.is_large_string(kind):
        return frozenset({"text"})
    if is_a.is_binary(kind) or is_a.is_large_binary(kind):
        return frozenset({"text", "bytes"})
    return frozenset({str(kind)})
