"""The model that most tests of the engine run, which copies it."""

import pytest

from tests.engine.scenes import nano_model


@pytest.fixture(scope="session")
def model():
    return nano_model()
