"""Batch video segmentation with SAM 2. `read_masks` reads a run's masks back."""

from pipeline.outputs.reader import read_masks

__all__ = ["read_masks"]
