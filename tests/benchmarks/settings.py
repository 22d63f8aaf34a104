"""A small setting that tests of the comparison change as they need."""

from benchmarks.official import NANO_WEIGHTS
from benchmarks.settings import Precision, Setting, System

NANO = Setting(
    system=System.official,
    precision=Precision.fp32,
    model="nano",
    image_size=256,
    objects=1,
    videos=1,
    frames=10,
    warmup=8,
    device="cpu",
    weights=NANO_WEIGHTS,
)
