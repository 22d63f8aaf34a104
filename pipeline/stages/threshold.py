"""When a value passes a limit."""

import logging

logger = logging.getLogger(__name__)


class Threshold:
    """Notices when the share of a GPU's memory that is taken rises past a limit, once each time."""

    def __init__(self, limit: float):
        self.limit = limit
        self._above = False

    def is_passed(self, share: float) -> bool:
        """Say whether the share has risen past the limit since the last call."""
        passed = share > self.limit and not self._above
        self._above = share > self.limit
        if passed:
            logger.warning(
                "%.0f%% of the GPU's memory is taken: the state is stored ahead of its time", share * 100
            )
        return passed
