"""A store in S3 or Google Cloud Storage, or in what speaks like one of them.

Requests are repeated twice over: obstore itself repeats what the server refused (5xx) and what could not
have arrived; here, all that may have arrived and got no answer. Every operation may be repeated: the one
that may not by itself, `create`, knows its own data when it finds it.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import GCSStore, S3Store
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from pipeline.errors import StorageError, UsageError
from pipeline.failpoints import reach
from pipeline.storage.files import complete_or_absent
from pipeline.storage.temporary import temporary_folder

BLOCK_BYTES = 8 << 20
SCHEMES = {"s3": S3Store, "gs": GCSStore}
KEYS = {  # where they are looked for
    "s3": "AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_PROFILE, this machine's role; AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, or this machine's service account",
}
# A request that fails at once is repeated by obstore for so long; then it is a fault of its own.
INNER_RETRIES, INNER_SECONDS, LONGEST_PAUSE_SECONDS = 2, 5, 10

logger = logging.getLogger(__name__)


class ObjectStore:
    """Objects below a prefix of a bucket."""

    def __init__(self, uri: str, connect_seconds: float, silent_seconds: float, retry_seconds: float):
        """Open the store; nothing is asked of it yet.

        Credentials and endpoint come from the environment, as the store's own tools take them.
        """
        parts = urlsplit(uri)
        if parts.scheme not in SCHEMES:
            raise UsageError(
                f"run={parts.scheme}://...: expected a path, or a URI that begins with "
                f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}"
            )
        if not parts.netloc:
            raise UsageError(
                f"run={parts.scheme}://: expected a bucket, as in {parts.scheme}://bucket/runs/first"
            )
        self.root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._store = _open(self.root, connect_seconds, silent_seconds)
        self._retrying = Retrying(
            retry=retry_if_exception_type(GenericError),
            wait=wait_random_exponential(multiplier=0.2, max=LONGEST_PAUSE_SECONDS),
            stop=stop_after_delay(retry_seconds),
            before_sleep=self._tell,
            reraise=True,
        )

    def read(self, name: str) -> bytes:
        return bytes(self._ask(name, lambda: obstore.get(self._store, name).bytes()))

    def write(self, name: str, data: bytes) -> None:
        self._ask(name, lambda: obstore.put(self._store, name, data))

    def create(self, name: str, data: bytes) -> bool:
        # One request, never a multipart upload: several servers don't check the condition at its end.
        try:
            self._ask(name, lambda: obstore.put(self._store, name, data, mode="create", use_multipart=False))
        except FileExistsError:
            # Perhaps by an earlier request of this call, whose answer was lost.
            with suppress(FileNotFoundError):
                return self.read(name) == data
            return False
        return True

    def sizes(self, folder: str) -> dict[str, int]:
        def listed() -> dict[str, int]:
            pages = obstore.list(self._store, folder, chunk_size=1000)
            return {entry["path"]: entry["size"] for page in pages for entry in page}

        return dict(sorted(self._ask(folder, listed).items()))

    def size_bytes(self, name: str) -> int | None:
        try:
            return self._ask(name, lambda: obstore.head(self._store, name)["size"])
        except FileNotFoundError:
            return None

    def sha256(self, name: str) -> str:
        def digest() -> str:
            sha256 = hashlib.sha256()
            for block in obstore.get(self._store, name).stream(min_chunk_size=BLOCK_BYTES):
                sha256.update(block)
            return sha256.hexdigest()

        return self._ask(name, digest)

    def copy(self, name: str, target: str) -> None:
        self._ask(name, lambda: obstore.copy(self._store, name, target))

    def keep(self, file: Path, name: str) -> None:
        self._ask(name, lambda: obstore.put(self._store, name, file))

    def fetch(self, name: str, file: Path) -> None:
        def download() -> None:
            with complete_or_absent(file) as partial, partial.open("wb") as out:
                for block in obstore.get(self._store, name).stream(min_chunk_size=BLOCK_BYTES):
                    out.write(block)

        self._ask(name, download)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):  # so says GCS; S3 says nothing
            self._ask(name, lambda: obstore.delete(self._store, name))

    def remove_all(self, folder: str) -> None:
        while names := list(self.sizes(folder)):
            # GCS stops at one that somebody else removed first; then the others are listed again.
            with suppress(FileNotFoundError):
                self._ask(folder, partial(obstore.delete, self._store, names))

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        with temporary_folder("attempt") as folder:
            yield folder

    def _ask(self, name: str, request: Any) -> Any:
        """Do a request, again where that may help; faults say where, in this project's classes."""
        try:
            reach("before request")
            answer = self._retrying(request)
            reach("after request")
            return answer
        except (FileNotFoundError, NotFoundError) as error:
            raise FileNotFoundError(f"{self.root}/{name}: not there") from error
        except (AlreadyExistsError, PreconditionError) as error:
            raise FileExistsError(f"{self.root}/{name}: there already") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise StorageError(
                f"{self.root}/{name}: refused ({_code(error)}); check the keys, the endpoint and what they "
                f"allow: {KEYS[urlsplit(self.root).scheme]}"
            ) from error
        except BaseError as error:
            raise StorageError(f"{self.root}/{name}: {_in_one_line(error)}") from error

    def _tell(self, state: RetryCallState) -> None:
        """Say that the store is waited for; the reason first, without the client's own details."""
        error = state.outcome and state.outcome.exception()
        what = _in_one_line(error).partition(": ")[2][:200] if error else ""
        logger.warning("%s does not answer as it should, trying again: %s", self.root, what)


def _open(root: str, connect_seconds: float, silent_seconds: float) -> Any:
    scheme, _, path = root.partition("://")
    bucket, _, prefix = path.partition("/")
    client = {
        "connect_timeout": timedelta(seconds=connect_seconds),
        "read_timeout": timedelta(seconds=silent_seconds),
        "timeout": timedelta(days=1),  # of a whole transfer: a slow line is no fault, a silent one is
        "allow_http": True,  # only used if the endpoint that the user gave is one
    }
    retry = {
        "max_retries": INNER_RETRIES,
        "retry_timeout": timedelta(seconds=INNER_SECONDS),
        "backoff": {"max_backoff": timedelta(seconds=LONGEST_PAUSE_SECONDS)},
    }
    try:
        return SCHEMES[scheme](
            bucket, prefix=prefix, client_options=client, retry_config=retry, **_credentials(scheme)
        )
    except (BaseError, ValueError) as error:
        raise StorageError(f"{root}: {_in_one_line(error)}") from error


def _credentials(scheme: str) -> dict[str, Any]:
    """Let S3's be found as the AWS tools find them (profiles, SSO), where boto3 is installed."""
    if SCHEMES[scheme] is not S3Store:
        return {}
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except ValueError:
        # It has looked everywhere; obstore would ask a server that is not there, for minutes.
        raise UsageError(f"no credentials for S3: {KEYS['s3']}") from None


def _code(error: BaseException) -> str:
    """Return the store's own word for a refusal."""
    code = re.search(r"<Code>(\w+)</Code>", str(error))
    return code[1] if code else type(error).__name__


def _in_one_line(error: BaseException) -> str:
    """Return what happened, without the trail of Rust's own names that obstore appends."""
    return " ".join(str(error).partition("Debug source:")[0].split())
