"""Hydra in, dataclasses out: what every job's entry point shares."""

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.errors import ClusterError, PipelineError, StorageError

CONF = Path(__file__).resolve().parent.parent / "conf"

DONE, WRONG_USAGE, SHARDS_QUARANTINED, STORAGE_OR_CLUSTER_GONE, STOPPED = 0, 1, 2, 3, 130

Config = TypeVar("Config")


def run_job(config_name: str, schema: type[Config], main: Callable[[Config], int]) -> None:
    """Compose `conf/<config_name>.yaml` with the command line, run `main` and exit with its code.

    What the user got wrong ends in one message and exit code 1, without a traceback.
    """

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    def entry(composed: DictConfig) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends as Ctrl-C does: in order
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        sys.exit(_guarded(lambda: main(to_dataclass(composed, schema))))

    GlobalHydra.instance().clear()  # importing sam2 has claimed it for sam2's own configs
    entry()


def to_dataclass(composed: DictConfig, schema: type[Config]) -> Config:
    """Check a composed config against its dataclass: unknown keys, types and missing values.

    Raises:
        OmegaConfBaseException: naming the full key.
        ValueError: from the dataclass's own checks.
    """
    checked: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), composed))
    return checked


def _guarded(main: Callable[[], int]) -> int:
    try:
        return main()
    except PipelineError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return STORAGE_OR_CLUSTER_GONE if isinstance(error, (StorageError, ClusterError)) else WRONG_USAGE
    except (OmegaConfBaseException, ValueError) as error:
        print(f"config: {error}", file=sys.stderr)
        return WRONG_USAGE
    except KeyboardInterrupt:
        return STOPPED
