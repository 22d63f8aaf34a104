"""How a stage tells whoever runs it how far it is."""

from collections.abc import Callable

# Told at the start, and again and again, how many frames of the shard have masks by now, those of earlier
# attempts included; or None, where something else got on, such as a download. It may raise Stopped.
OnFrames = Callable[[int | None], None]
