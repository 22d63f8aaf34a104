"""Every job's YAML, with every choice it offers, composes into the dataclass that the job obeys."""

import runpy
from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from jobs import edge
from tests.conftest import REPOSITORY

CONF = REPOSITORY / "conf"
JOBS = sorted({path.stem for path in (REPOSITORY / "jobs").glob("*.py")} - {"__init__", "edge"})
ASKED_FOR_WITH_A_PLUS = {"smaller_model"}  # a model of its own, which most runs do without
SHARED = {"quiet"}  # no job of its own, a default of all


def composed(job: str, *overrides: str, **options: bool) -> DictConfig:
    GlobalHydra.instance().clear()  # importing sam2 initializes it
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(job, overrides=list(overrides), **options)


def choices_of(job: str) -> list[str]:
    """Return `group=option` for every option of every folder of conf/ that the job chooses from."""
    chosen = composed(job, return_hydra_config=True).hydra.runtime.choices
    groups = [group for group in chosen if (CONF / group.partition("@")[0]).is_dir()]
    return [
        f"{group}={path.stem}"
        for group in groups
        for path in sorted((CONF / group.partition("@")[0]).glob("*.yaml"))
    ]


def schema_of(job: str, monkeypatch) -> type:
    """Return the dataclass that the job hands to `run_job`, without running it."""
    handed = {}
    monkeypatch.setattr(edge, "run_job", lambda name, schema, main: handed.update({name: schema}))
    runpy.run_module(f"jobs.{job}", run_name="__main__")
    return handed[job]


def test_every_yaml_has_a_job_and_every_job_its_yaml():
    assert {path.stem for path in CONF.glob("*.yaml")} - SHARED == set(JOBS)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_composes_into_its_dataclass_with_every_choice(job, monkeypatch):
    schema = schema_of(job, monkeypatch)
    for overrides in ([], *([choice] for choice in choices_of(job))):
        config = composed(job, *overrides)
        for key in OmegaConf.missing_keys(config):
            OmegaConf.update(config, key, "1")  # fits text and numbers alike

        assert isinstance(edge.to_dataclass(config, schema), schema)


@pytest.mark.parametrize("job", JOBS)
def test_every_setting_of_a_job_can_be_given_on_its_command_line(job, monkeypatch):
    """Hydra overrides what a YAML has, and nothing else."""
    known = OmegaConf.structured(schema_of(job, monkeypatch))
    assert set(_keys(known)) - set(_keys(composed(job))) <= ASKED_FOR_WITH_A_PLUS


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in config:
        value = config._get_node(key)
        if isinstance(value, DictConfig) and not value._is_none():
            yield from _keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


@pytest.mark.parametrize("job", JOBS)
def test_a_yaml_says_how_to_run_its_job(job):
    comment, _, _ = (CONF / f"{job}.yaml").read_text().partition("\ndefaults:")

    assert f"python -m jobs.{job} " in comment
