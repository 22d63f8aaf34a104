"""URIs: which are paths of this machine, and how they are shown without their secrets."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit


def local_path(uri: str) -> Path | None:
    """Return the path that `uri` names on this machine's own disk, or None for anything remote."""
    if "://" not in uri:
        return Path(uri).expanduser()
    scheme, rest = uri.split("://", 1)
    return Path(rest) if scheme in ("file", "local") else None


def shown(uri: str) -> str:
    """Return `uri` for people to read: without user, password, query and fragment.

    >>> shown("https://me:secret@host/a.mp4?signature=1")
    'https://host/a.mp4'
    """
    if local_path(uri) is not None:
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:  # no URI at all: who knows where its secrets are
        return f"{uri.partition('://')[0]}://..."
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
