"""From a URI to a path on this machine: streamed to a bounded cache, removed after use."""

import errno
import hashlib
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from fsspec.core import url_to_fs

from pipeline.errors import InputMissing, InputTooLarge, InputUnavailable, StorageError
from pipeline.inputs.allowed_roots import refuse_outside
from pipeline.inputs.disk_faults import absent
from pipeline.inputs.images import IMAGE_SUFFIXES
from pipeline.storage.temporary import temporary_folder
from pipeline.storage.uris import local_path, shown, without_secrets

BLOCK_BYTES = 4 << 20
BUSY = {408, 425, 429}  # what HTTP servers answer, besides 5xx, when asking later may help
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # of this machine's own disk
# What stores call the mark that changes with the content, best first.
CONTENT_MARKS = ("ETag", "etag", "md5Hash", "crc32c", "mtime", "LastModified", "updated", "created")


@dataclass
class SourceConfig:
    """Where remote videos lie while they are decoded, and how large one may be."""

    cache_dir: str | None = None  # null: the system's folder for temporary files
    max_bytes: int = 64 << 30  # of one video, or of all frames of a folder
    allowed_roots: list[str] | None = None  # paths and URIs that videos must lie below; null: anywhere

    def __post_init__(self):
        if self.max_bytes < 1:
            raise ValueError(f"source.max_bytes must be 1 or more, got {self.max_bytes}")


@contextmanager
def localized(uri: str, config: SourceConfig, on_block: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Give a path on this machine to the file or folder of images behind `uri`.

    What is local already is given as it is; anything else is streamed to a folder of its own
    under the cache, which is gone after the block.

    Args:
        on_block: Called while it is streamed, again and again.

    Raises:
        InputMissing: nothing is there, it may not be read, or it lies outside the allowed roots.
        InputTooLarge: it is larger than `max_bytes`.
        InputUnavailable: the transfer broke off; trying again may help.
        StorageError: this machine has no room for it.
    """
    _refuse_unreadable(uri)
    refuse_outside(uri, config.allowed_roots)
    local = local_path(uri)
    if local is not None:
        yield _present(local, config)
        return
    if config.cache_dir is not None:
        Path(config.cache_dir).mkdir(parents=True, exist_ok=True)
    with temporary_folder("source", config.cache_dir) as folder:
        with faults_named(uri):
            path = _download(uri, folder, config.max_bytes, on_block)
        yield path


def source_identity(uri: str, config: SourceConfig) -> dict[str, str | int]:
    """Return what changes when the video behind `uri` does: for fingerprints.

    A file has its size in bytes and the store's own mark (ETag, hash or time of change); a
    folder the number of images, their total size and a digest over names, sizes and marks.

    Raises:
        InputMissing: nothing is there, or it lies outside the allowed roots.
        InputUnavailable: the store does not answer.
    """
    _refuse_unreadable(uri)
    refuse_outside(uri, config.allowed_roots)
    with faults_named(uri):
        fs, path = _filesystem(uri)
        info = fs.info(path)
        if info["type"] != "directory":
            return {"size_bytes": int(info.get("size") or 0), "mark": _content_mark(info)}
        return _folder_identity(_images_in(fs, path))


def _refuse_unreadable(uri: str) -> None:
    """Refuse what is no URI, before anything else takes it apart."""
    if "\0" in uri:  # no system call takes it
        raise InputMissing(f"{uri!r}: holds a null character")
    if local_path(uri) is None:
        try:
            urlsplit(uri)
        except ValueError as error:
            raise InputMissing(f"{shown(uri)}: {error}") from None


def _present(path: Path, config: SourceConfig) -> Path:
    """Return a path that is a file or a folder: a device or a pipe would be read for ever."""
    try:
        info = path.stat()
    except OSError as error:
        raise absent(path, error) from None
    if stat.S_ISDIR(info.st_mode):
        _check_folder(path, config)
    elif not stat.S_ISREG(info.st_mode):
        raise InputMissing(f"{path}: neither a file nor a folder")
    elif info.st_size > config.max_bytes:
        raise InputTooLarge(f"{path}: {info.st_size} bytes, source.max_bytes allows {config.max_bytes}")
    return path


def _check_folder(folder: Path, config: SourceConfig) -> None:
    size_bytes = 0
    for entry in folder.iterdir():
        refuse_outside(str(entry), config.allowed_roots)  # a link may lead anywhere
        if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file():
            size_bytes += entry.stat().st_size
    if size_bytes > config.max_bytes:
        raise InputTooLarge(f"{folder}: {size_bytes} bytes, source.max_bytes allows {config.max_bytes}")


def _filesystem(uri: str) -> tuple[Any, str]:
    fs, path = url_to_fs(uri)
    fs.invalidate_cache()  # a listing of earlier says nothing about now
    return fs, path


def _download(uri: str, folder: Path, max_bytes: int, on_block: Callable[[], None]) -> Path:
    fs, path = _filesystem(uri)
    # The suffix helps to tell what it is; a store's name may be longer than a disk takes.
    name = f"source{PurePosixPath(urlsplit(uri).path).suffix[:16]}"
    if fs.info(path)["type"] != "directory":
        _stream(fs, path, folder / name, max_bytes, on_block)
        return folder / name
    images = folder / name
    images.mkdir()
    left_bytes = max_bytes
    for info in _images_in(fs, path):
        image = images / PurePosixPath(info["name"]).name
        left_bytes -= _stream(fs, info["name"], image, left_bytes, on_block)
    return images


def _stream(fs: Any, path: str, target: Path, max_bytes: int, on_block: Callable[[], None]) -> int:
    """Copy one file and return its size, never writing more than `max_bytes`."""
    copied = 0
    with fs.open(path, "rb") as source, target.open("wb") as file:
        while block := source.read(BLOCK_BYTES):
            copied += len(block)
            if copied > max_bytes:
                raise InputTooLarge(f"larger than source.max_bytes allows ({max_bytes} bytes left)")
            file.write(block)
            on_block()
    return copied


def _images_in(fs: Any, path: str) -> list[dict[str, Any]]:
    found = [info for info in fs.ls(path, detail=True) if info["type"] == "file"]
    images = [info for info in found if PurePosixPath(info["name"]).suffix.lower() in IMAGE_SUFFIXES]
    return sorted(images, key=lambda info: info["name"])


def _content_mark(info: dict[str, Any]) -> str:
    return next((str(info[key]) for key in CONTENT_MARKS if info.get(key) is not None), "")


def _folder_identity(images: list[dict[str, Any]]) -> dict[str, str | int]:
    digest = hashlib.sha256()
    for info in images:
        name = PurePosixPath(info["name"]).name
        digest.update(f"{name}\0{info.get('size')}\0{_content_mark(info)}\n".encode())
    return {
        "files": len(images),
        "size_bytes": sum(int(info.get("size") or 0) for info in images),
        "mark": digest.hexdigest(),
    }


@contextmanager
def faults_named(uri: str) -> Iterator[None]:
    """Turn what any store raises into this project's errors, without the secrets of the URI."""
    try:
        yield
    except (InputMissing, InputTooLarge) as error:
        raise type(error)(f"{shown(uri)}: {error}") from None
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        # fsspec calls a file missing whatever an HTTP server answers, and if it does not.
        if isinstance(error.__cause__, aiohttp.ClientConnectionError):
            raise InputUnavailable(f"{shown(uri)}: no connection to the server") from None
        if (status := getattr(error.__cause__, "status", 0)) in BUSY or status >= 500:
            raise InputUnavailable(f"{shown(uri)}: the server answers {status}") from None
        raise InputMissing(f"{shown(uri)}: not there, or not to be read from here") from None
    except (ValueError, ImportError) as error:
        # No such protocol, or its client is not installed.
        raise InputMissing(f"{shown(uri)}: {_first_line(error, uri)}") from None
    except Exception as error:  # each store's client has errors of its own
        kind = StorageError if getattr(error, "errno", None) in NO_ROOM else InputUnavailable
        raise kind(f"{shown(uri)}: {type(error).__name__}: {_first_line(error, uri)}") from None


def _first_line(error: Exception, uri: str) -> str:
    return without_secrets((str(error).splitlines() or [""])[0].replace(uri, shown(uri)))
