"""Names that are safe on any disk and in any store."""

import hashlib
from urllib.parse import quote

LONGEST_NAME_CHARS = 120


def path_name(identifier: str) -> str:
    """Return a name for `identifier` that is safe on any disk and store, and one to one.

    Percent-encoded, never starting with a dot or an underscore (readers of Parquet folders skip
    these), never longer than 120 characters; `~` never occurs, so it can join two names.

    >>> path_name("../site 7"), path_name("_x"), path_name("00012")
    ('%2E.%2Fsite%207', '%5Fx', '00012')
    """
    name = quote(identifier, safe="").replace("~", "%7E")
    if name[:1] in (".", "_"):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > LONGEST_NAME_CHARS:
        digest = hashlib.sha256(identifier.encode()).hexdigest()[:16]
        name = f"{name[: LONGEST_NAME_CHARS - 18]}%-{digest}"  # no encoding has a % before a dash
    return name
