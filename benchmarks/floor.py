"""The least time that a frame can take on a device: what must be computed and moved, at the device's peak.

Counts are those of SAM 2.1 at 1024x1024 px in bf16, with 7 memory frames and 16 object pointers, as its
official modules do it. A component takes at least its FLOP or at least its bytes, whichever is longer;
components do not overlap.
"""

from dataclasses import dataclass

IMAGE_SIZE_PX = 1024  # the only size that the counts hold for


@dataclass(frozen=True)
class Cost:
    """What one component computes and moves."""

    gflop: float
    gigabytes: float  # operands of matrix products, convolutions and norms; pointwise operations are free

    def least_ms(self, tflops: float, terabytes_per_second: float) -> float:
        return max(self.gflop / tflops, self.gigabytes / terabytes_per_second)


ENCODER = {  # once a frame
    "sam2.1_tiny": Cost(292, 1.83),
    "sam2.1_small": Cost(360, 2.17),
    "sam2.1_base_plus": Cost(647, 3.63),
    "sam2.1_large": Cost(1823, 7.75),
}
# Once an object and frame.
MEMORY_ATTENTION = Cost(605.6, 0.63)
HEADS = Cost(3.6, 0.08)
MEMORY_ENCODER = Cost(11.6, 0.08)
# The same results with less work: memories are attended to as values before they are projected, and what
# the first layer computes of the frame alone moves from every object to the frame.
REWRITTEN_ATTENTION = Cost(400, 0.63)
MOVED_TO_FRAME_GFLOP = 20.4


def floor_ms(
    model: str, objects: int, tflops: float, terabytes_per_second: float, rewritten: bool = False
) -> float | None:
    """Return the least milliseconds of one frame, or None for a model that nobody counted.

    Args:
        model: A file of `conf/model/`, without its suffix.
        objects: On the frame.
        tflops: What the device computes of matrix products, in TFLOP/s.
        terabytes_per_second: What the device reads and writes.
        rewritten: Count the exact rewrites, which need less than the official modules.
    """
    if model not in ENCODER:
        return None
    encoder, attention = ENCODER[model], MEMORY_ATTENTION
    if rewritten:
        encoder = Cost(encoder.gflop + MOVED_TO_FRAME_GFLOP, encoder.gigabytes)
        attention = REWRITTEN_ATTENTION
    peak = (tflops, terabytes_per_second)
    per_object = sum(component.least_ms(*peak) for component in (attention, HEADS, MEMORY_ENCODER))
    return encoder.least_ms(*peak) + objects * per_object
