"""What forked runs find imported; imported once a test session."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import jobs.segment  # noqa: F401
import pipeline.engine.sam2_model  # noqa: F401
