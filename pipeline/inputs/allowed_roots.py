"""Where a manifest's URIs may point: whoever writes manifests need not be who runs them."""

from collections.abc import Sequence
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from pipeline.errors import InputMissing
from pipeline.storage.uris import local_path, shown


def refuse_outside(uri: str, roots: Sequence[str] | None) -> None:
    """Refuse a URI that is not below one of the roots; None allows all.

    Raises:
        InputMissing: It is outside; before anything was asked of the place that it names.
    """
    if roots is not None and not any(is_below(uri, root) for root in roots):
        raise InputMissing(f"{shown(uri)}: outside of source.allowed_roots")


def is_below(uri: str, root: str) -> bool:
    """Say whether a URI names a root or something below it, wherever links and dots lead.

    >>> is_below("s3://videos/a/../../secrets/b", "s3://videos"), is_below("s3://videos-2/a", "s3://videos")
    (False, False)
    """
    path, root_path = local_path(uri), local_path(root)
    if path is not None or root_path is not None:
        return (
            path is not None and root_path is not None and path.resolve().is_relative_to(root_path.resolve())
        )
    if "::" in uri:  # fsspec chains one URI behind another
        return False
    (place, path_parts), (root_place, root_parts) = _split(uri), _split(root)
    return place == root_place and path_parts[: len(root_parts)] == root_parts


def _split(uri: str) -> tuple[tuple[str, str], list[str]]:
    """Return the scheme and the host or bucket, and the parts of the path with dots resolved."""
    parts = urlsplit(uri)
    path = normpath("/" + unquote(parts.path).lstrip("/"))
    place = parts.scheme.lower(), parts.netloc.rpartition("@")[2].lower()
    return place, [part for part in path.split("/") if part]
