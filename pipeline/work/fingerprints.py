"""What decides the masks of a shard, as a few short strings that can be compared key by key."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pipeline.records import Prompt
from pipeline.schemas import MASKS_VERSION

UNREADABLE = "unreadable"
CORRECTIONS = "corrections"  # key of a fingerprint


def fingerprint(
    prompts: Sequence[Prompt],
    source: Mapping[str, str | int] | None,
    config: Mapping[str, Any],
    weights_sha256: str,
    references: Mapping[str, Mapping[str, str | int] | None] | None = None,
) -> dict[str, str]:
    """Return all that decides the masks, by name.

    Args:
        prompts: The shard's.
        source: The video's size and ETag, or what its store has instead; None if it can't be read.
        config: The settings that affect masks, and no others, by full name.
        weights_sha256: Of the weights file.
        references: Likewise of each other video that prompts are on, by URI.
    """
    keys = reference_keys(prompts)
    own = [prompt for prompt in prompts if not prompt.is_correction and prompt.video_uri is None]
    named = [replace(p, video_uri=keys[p.video_uri]) for p in _references(prompts) if p.video_uri]
    return {
        # Of key frames any order means the same; of an object's references the last one is the nearest.
        "prompts": _digest(sorted(map(_text, own)) + [_text(p) for p in named]),
        **_corrections([prompt for prompt in prompts if prompt.is_correction]),
        "source": _source(source),
        **{key: _source((references or {}).get(uri)) for uri, key in keys.items()},
        "weights": weights_sha256,
        "schema": MASKS_VERSION,
        **{f"config.{name}": str(value) for name, value in sorted(config.items())},
    }


def reference_keys(prompts: Iterable[Prompt]) -> dict[str, str]:
    """Return by URI the name of each other video's identity.

    By number: URIs may hold secrets and signatures, which last for an hour; fingerprints are stored.
    """
    uris = dict.fromkeys(prompt.video_uri for prompt in _references(prompts) if prompt.video_uri)
    return {uri: f"reference.{number}" for number, uri in enumerate(uris)}


def _references(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Return prompts on other videos, by object, each object's in the order given."""
    return sorted((p for p in prompts if p.video_uri is not None), key=lambda p: p.object_id)


def _source(identity: Mapping[str, str | int] | None) -> str:
    return UNREADABLE if identity is None else source_text(identity)


def _corrections(prompts: Sequence[Prompt]) -> dict[str, str]:
    """Return a digest for each frame or time that is corrected: so it can be told which is the first new one.

    A shard without corrections has no such key.
    """
    by_place: dict[str, list[str]] = defaultdict(list)
    for prompt in prompts:
        place = f"{prompt.time_seconds} s" if prompt.frame_index is None else str(prompt.frame_index)
        by_place[place].append(_text(prompt))
    digests = {place: _digest(sorted(texts)) for place, texts in sorted(by_place.items())}
    return {CORRECTIONS: json.dumps(digests)} if digests else {}


def _text(prompt: Prompt) -> str:
    values = asdict(prompt)
    del values["is_correction"]
    if prompt.video_uri is None:
        del values["video_uri"]
    return repr(values)


def source_text(source: Mapping[str, str | int]) -> str:
    """Return a video's identity as fingerprints hold it."""
    return json.dumps(dict(source), sort_keys=True)


def digest_of(fingerprint: Mapping[str, str]) -> str:
    """Return one SHA-256 for the whole, in hex."""
    return _digest(dict(fingerprint))


def changed_keys(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names under which two fingerprints differ.

    >>> changed_keys({"schema": "1", "weights": "a"}, {"schema": "1", "weights": "b"})
    ['weights']
    """
    return sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
