"""A wrong runner setting is refused before any worker starts."""

import pytest

from pipeline.runners.config import RunnerConfig


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"gpus_per_worker": 1.5}, {"cpus_per_worker": 0}, {"progress_poll_seconds": 0}]
)
def test_a_wrong_setting_is_named(wrong):
    with pytest.raises(ValueError, match=f"runner.{next(iter(wrong))}"):
        RunnerConfig(**wrong)
