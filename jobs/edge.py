"""Hydra in, dataclasses out: what every job's entry point shares."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import hydra
import psutil
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.errors import ClusterError, DeviceFailed, InputUnavailable, PipelineError, StorageError
from pipeline.storage.uris import without_secrets

CONF = Path(__file__).resolve().parent.parent / "conf"

DONE, WRONG_USAGE, SHARDS_QUARANTINED, STORAGE_OR_CLUSTER_GONE, STOPPED = 0, 1, 2, 3, 130

# The same command goes on when it is back.
GONE = (StorageError, InputUnavailable, ClusterError, DeviceFailed)

# Of a path that was given: waiting does not help.
WRONG_PLACE = (NotADirectoryError, IsADirectoryError, PermissionError)

Config = TypeVar("Config")


def run_job(config_name: str, schema: type[Config], main: Callable[[Config], int]) -> None:
    """Compose `conf/<config_name>.yaml` with the command line, run `main` and exit with its code.

    What the user got wrong ends in one message and exit code 1, without a traceback.
    """

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    def entry(composed: DictConfig) -> None:
        _end_in_order_by(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        for name in ("botocore", "aiobotocore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        sys.exit(_guarded(composed, schema, main))

    if {"-h", "--help"} & set(sys.argv[1:]):
        print((CONF / f"{config_name}.yaml").read_text())
        sys.exit(DONE)
    GlobalHydra.instance().clear()  # importing sam2 has claimed it for sam2's own configs
    entry()


def _end_in_order_by(*numbers: signal.Signals) -> None:
    """Let Ctrl-C, `kill` and a lost terminal end a job in order, but for what `nohup` ignores.

    A Ctrl-C after that ends it at once, with all processes that it has started; other signals are often sent
    twice, by a shell and its terminal.
    """
    stopping = False

    def stop(number: int, _: Any) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            raise KeyboardInterrupt
        if number == signal.SIGINT:
            _end_at_once()

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _end_at_once() -> None:
    print("ended at once; the same command goes on from what is stored", file=sys.stderr, flush=True)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    os._exit(STOPPED)


def to_dataclass(composed: DictConfig, schema: type[Config]) -> Config:
    """Check a composed config against its dataclass: unknown keys, types and missing values.

    Raises:
        OmegaConfBaseException: naming the full key.
        ValueError: from the dataclass's own checks.
    """
    checked: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), composed))
    return checked


def _gone() -> int:
    print("the same command goes on from what is stored, when it is back", file=sys.stderr)
    return STORAGE_OR_CLUSTER_GONE


def _guarded(composed: DictConfig, schema: type[Config], main: Callable[[Config], int]) -> int:
    if missing := OmegaConf.missing_keys(composed):
        settings = " ".join(f"{key}=..." for key in sorted(missing))
        print(f"config: give {settings}; --help shows all", file=sys.stderr)
        return WRONG_USAGE
    try:
        config = to_dataclass(composed, schema)
    except (OmegaConfBaseException, ValueError) as error:
        print(f"config: {error}", file=sys.stderr)
        return WRONG_USAGE
    try:
        return main(config)
    except PipelineError as error:
        print(without_secrets(f"{type(error).__name__}: {error}"), file=sys.stderr)
        return _gone() if isinstance(error, GONE) else WRONG_USAGE
    except OSError as error:
        print(without_secrets(f"storage: {error}"), file=sys.stderr)
        return WRONG_USAGE if isinstance(error, WRONG_PLACE) else _gone()
    except KeyboardInterrupt:
        return STOPPED
