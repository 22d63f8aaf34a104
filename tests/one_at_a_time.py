"""The mark of tests that start Ray or the S3 server: of a parallel run one process does them, in turn."""

import pytest

ONE_AT_A_TIME = pytest.mark.xdist_group("one at a time")
