"""Weights: from the package, a path or a URI to tensors. Fetched once a machine, complete or absent."""

import hashlib
import os
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
import torch
from aiohttp import ClientTimeout
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file

from pipeline.errors import WeightsError
from pipeline.storage.files import complete_or_absent
from pipeline.storage.uris import local_path, shown, without_secrets

AUTO = "auto"
READ_TIMEOUT_SECONDS = 60


def default_cache() -> Path:
    """Return the folder that fetched weights are kept in."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sam2-batch" / "weights"


def weights_file(weights: str, official: str, cache: Path) -> Path:
    """Return the local weights file, fetching it into `cache` where it is not there yet.

    Args:
        weights: `auto`, a local path, or any fsspec URI.
        official: Where `auto` leads: a URI, or a file of `pipeline/bundled`.
        cache: Shared by all workers of a machine; one of them fetches, the others wait.

    Raises:
        WeightsError: It is not there and can't be fetched; says which file to put where.
    """
    source = official if weights == AUTO else weights
    if weights == AUTO and "://" not in source:
        return Path(str(resources.files("pipeline.bundled") / official))
    local = local_path(source)
    if local is not None:
        return _existing(local)
    # Two URIs may end in one name; official files keep theirs, so that people can put them there.
    folder = cache if weights == AUTO else cache / hashlib.sha256(source.encode()).hexdigest()[:16]
    target = folder / Path(urlsplit(source).path).name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.exists():
            _fetch(source, target)
    return target


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors by name, of a `.safetensors` or of a `.pt` file in the official layout.

    Raises:
        WeightsError: The file is damaged, or is something else.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # weights_only: a file from the network is data, never code.
        return torch.load(path, map_location="cpu", weights_only=True)["model"]
    except (SafetensorError, RuntimeError, KeyError, EOFError, ValueError, TypeError, OSError) as error:
        raise WeightsError(
            f"{path}: no weights in the official layout ({{'model': tensors}}) or safetensors: "
            f"{type(error).__name__}: {error}; choose another file or, if this one was fetched, delete it"
        ) from error
    except Exception as error:  # torch raises pickle's own errors, which share no other base
        raise WeightsError(f"{path}: refused by the safe loader: {error}") from error


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise WeightsError(f"model.weights {path}: no such file")
    return path


def _fetch(uri: str, target: Path) -> None:
    options = {}
    if uri.startswith("http"):
        # No limit for the whole: a large file over a slow line is no fault; a silent line is.
        timeout = ClientTimeout(total=None, sock_connect=READ_TIMEOUT_SECONDS, sock_read=READ_TIMEOUT_SECONDS)
        options = {"client_kwargs": {"timeout": timeout}}
    try:
        with complete_or_absent(target) as partial:
            filesystem, path = fsspec.core.url_to_fs(uri, **options)
            filesystem.get_file(path, str(partial))
            _check_size(partial, filesystem.info(path).get("size"), uri)
    except WeightsError:
        raise
    except Exception as error:  # each store raises its own
        raise WeightsError(
            f"can't fetch {shown(uri)} ({type(error).__name__}: {without_secrets(str(error))}); "
            f"without a network, put {target.name} at {target}, or set model.weights to its path"
        ) from error


def _check_size(file: Path, expected_bytes: int | None, uri: str) -> None:
    found_bytes = file.stat().st_size
    if expected_bytes is not None and found_bytes != expected_bytes:
        raise WeightsError(f"{shown(uri)}: got {found_bytes} bytes of {expected_bytes}; try again")
