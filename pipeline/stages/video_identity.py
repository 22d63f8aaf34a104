"""Whether a worker sees the video that its shard was planned with."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.errors import InputChanged, InputMissing, InputUnavailable
from pipeline.inputs.source import SourceConfig, localized, source_identity
from pipeline.records import Shard
from pipeline.storage.uris import local_path, shown
from pipeline.work.fingerprints import UNREADABLE, reference_keys, source_text


def identified(shard: Shard, config: SourceConfig) -> Shard:
    """Return the shard with the identities of all its videos, those that the driver could not read too.

    Raises:
        InputChanged: One is not the video that the driver saw.
        InputMissing, InputUnavailable: It is not to be had here.
    """
    seen = {key: _identified(shard, key, uri, config) for key, uri in _videos(shard).items()}
    return replace(shard, fingerprint={**shard.fingerprint, **seen}) if seen else shard


def _videos(shard: Shard) -> dict[str, str]:
    """Return the URIs of all videos that a shard was planned with, by the names of their identities."""
    references = {key: uri for uri, key in reference_keys(shard.prompts).items()}
    uris = {"source": shard.video_uri, **references}
    return {key: uri for key, uri in uris.items() if key in shard.fingerprint}


def _identified(shard: Shard, key: str, uri: str, config: SourceConfig) -> str:
    planned = shard.fingerprint[key]
    with _blaming_machine(planned):
        seen = source_identity(uri, config)
    if planned == UNREADABLE:
        return source_text(seen)
    if not _is_same(json.loads(planned), seen, uri):
        raise InputChanged(
            f"{shown(uri)}: the run was planned with {planned}, this worker sees "
            f"{source_text(seen)}; if the video was replaced, run again"
        )
    return planned


@contextmanager
def seen_before(shard: Shard, config: SourceConfig, on_block: Callable[[], None]) -> Iterator[Path]:
    """Give a path on this machine to the shard's video; `on_block` is called while it is fetched.

    Raises:
        InputUnavailable: It is missing here, though the driver saw it: this machine may lack a mount.
    """
    with ExitStack() as stack:
        with _blaming_machine(shard.fingerprint.get("source", UNREADABLE)):
            path = stack.enter_context(localized(shard.video_uri, config, on_block))
        yield path


@contextmanager
def reference_video(shard: Shard, uri: str, config: SourceConfig) -> Iterator[tuple[str, Path]]:
    """Give the identity of another video that prompts are on, and a path on this machine to it.

    Raises:
        InputUnavailable: As for the shard's own video.
    """
    planned = shard.fingerprint.get(reference_keys(shard.prompts)[uri], UNREADABLE)
    with ExitStack() as stack:
        with _blaming_machine(planned):
            path = stack.enter_context(localized(uri, config))
        yield planned, path


@contextmanager
def _blaming_machine(planned: str) -> Iterator[None]:
    try:
        yield
    except InputMissing as error:
        if planned == UNREADABLE:
            raise
        raise InputUnavailable(f"{error}; the driver could read it: is it mounted on this machine?") from None


def _is_same(planned: dict, seen: dict, uri: str) -> bool:
    """Compare identities; copies of a file on the disks of several machines differ in their times."""
    if local_path(uri) is None:
        return planned == seen
    return planned.get("size_bytes") == seen.get("size_bytes") and planned.get("files") == seen.get("files")
