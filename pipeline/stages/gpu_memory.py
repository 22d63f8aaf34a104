"""How full a GPU gets while a shard is segmented."""

import logging

logger = logging.getLogger(__name__)


class GpuMemoryWatch:
    """Notices when the share of a GPU's memory that is taken rises past a limit, once each time."""

    def __init__(self, limit: float):
        self.limit = limit
        self.highest = 0.0
        self._above = False

    def has_filled(self, share: float) -> bool:
        """Note the share that is taken now; say whether it has risen past the limit since the last call."""
        self.highest = max(self.highest, share)
        filled = share > self.limit and not self._above
        self._above = share > self.limit
        if filled:
            logger.warning(
                "%.0f%% of the GPU's memory is taken: the state is stored ahead of its time", share * 100
            )
        return filled
