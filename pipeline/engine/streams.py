"""Work beside the main work of a CUDA device; on other devices it is simply done."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


class SideStream:
    """A CUDA stream for copies or small kernels, whose order with the main stream is kept."""

    def __init__(self, device: torch.device):
        self.device = device
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    @contextmanager
    def beside(self, inputs: Sequence[torch.Tensor] = ()) -> Iterator[None]:
        """Do what follows on the side, after all that was asked of the main stream so far.

        Args:
            inputs: Tensors of the main stream that are read: their memory is not given away before.
        """
        if self.stream is None:
            yield
            return
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            for tensor in inputs:
                tensor.record_stream(self.stream)
            yield

    def upload(self, images: torch.Tensor) -> torch.Tensor:
        """Copy a tensor of the host to the device from pinned memory; the main stream waits, no thread does.

        https://docs.pytorch.org/tutorials/intermediate/pinmem_nonblock.html
        """
        if self.stream is None:
            return images.to(self.device)
        main = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self.stream):
            uploaded = images.pin_memory().to(self.device, non_blocking=True)
        main.wait_stream(self.stream)
        uploaded.record_stream(main)
        return uploaded
