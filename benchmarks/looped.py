"""Long videos made of short ones."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av


def write_looped(clip: Path, num_frames: int, target: Path) -> Path:
    """Write the clip's packets again and again, `num_frames` of them, without encoding anything."""
    with av.open(clip) as source, av.open(target, "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in islice(_endless_packets(clip), num_frames):
            packet.stream = stream
            output.mux(packet)
    return target


def _endless_packets(clip: Path) -> Iterator[av.Packet]:
    offset = 0
    while True:
        with av.open(clip) as source:
            video = source.streams.video[0]
            for packet in source.demux(video):
                if packet.dts is not None:  # the last one is empty: it flushes the decoder
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    yield packet
            offset += video.duration
