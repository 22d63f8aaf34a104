"""What decides the masks of a shard, as a few short strings that can be compared key by key."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pipeline.records import Prompt
from pipeline.schemas import MASKS_VERSION

UNREADABLE = "unreadable"


def fingerprint(
    prompts: Iterable[Prompt],
    source: Mapping[str, str | int] | None,
    config: Mapping[str, Any],
    weights_sha256: str,
) -> dict[str, str]:
    """Return all that decides the masks, by name.

    Args:
        prompts: The shard's.
        source: The video's size and ETag, or what its store has instead; None if it can't be read.
        config: The settings that affect masks, and no others, by full name.
        weights_sha256: Of the weights file.
    """
    return {
        "prompts": _digest(sorted(repr(asdict(prompt)) for prompt in prompts)),
        "source": UNREADABLE if source is None else source_text(source),
        "weights": weights_sha256,
        "schema": MASKS_VERSION,
        **{f"config.{name}": str(value) for name, value in sorted(config.items())},
    }


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
