"""URIs: which are paths of this machine, and how they are shown without their secrets."""

import re
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
    if "::" in uri and "://" in uri:  # fsspec chains one URI behind another
        return "::".join(shown(part) for part in uri.split("::"))
    if local_path(uri) is not None:
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:  # no URI at all: who knows where its secrets are
        return f"{uri.partition('://')[0]}://..."
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def without_secrets(text: str) -> str:
    """Return a text with every URI in it as `shown` does: clients quote theirs in their own spelling.

    >>> without_secrets("404, url='https://me:secret@host/a%2Fb?signature=1'")
    "404, url='https://host/a%2Fb'"
    """
    return re.sub(r"\b\w[\w+.-]*://[^\s'\"<>`]*", lambda found: shown(found[0]), text)
