"""Agglomerative clustering in which some things may never be in one group."""

from enum import Enum

import numpy as np


class Linkage(str, Enum):
    """What two groups are alike by."""

    average = "average"  # the mean over all pairs that can be compared
    complete = "complete"  # the least alike of them


class Clusters:
    """Groups of things, each alone at first; a group goes by the index of one of its members."""

    def __init__(self, similarity: np.ndarray, barred: np.ndarray, compared: np.ndarray, linkage: Linkage):
        """Take (thing, thing) arrays, all symmetric.

        Args:
            similarity: float64.
            barred: bool, the two may not be in one group; true on the diagonal.
            compared: bool, the similarity of the two counts for that of their groups.
        """
        self.group = np.arange(len(similarity))  # of each thing
        self.barred = barred.copy()
        self._linkage = linkage
        self._pairs = compared.astype(np.float64)  # that are compared, between two groups
        self._total = np.where(compared, similarity, 0.0)
        self._least = np.where(compared, similarity, np.inf)
        self._likeness = self._likeness_of(slice(None))

    def members(self, group: int) -> np.ndarray:
        return np.flatnonzero(self.group == group)

    def join(self, one: int, other: int) -> bool:
        """Join the groups of two things, and say whether that was possible."""
        kept, gone = sorted((self.group[one], self.group[other]))
        if kept == gone or self.barred[kept, gone]:
            return False
        self.group[self.group == gone] = kept
        for matrix, combine in (
            (self.barred, np.logical_or),
            (self._pairs, np.add),
            (self._total, np.add),
            (self._least, np.minimum),
        ):
            matrix[kept] = matrix[:, kept] = combine(matrix[kept], matrix[gone])
        self.barred[gone] = self.barred[:, gone] = True
        for group in (kept, gone):
            self._likeness[group] = self._likeness[:, group] = self._likeness_of(group)
        return True

    def most_alike(self) -> tuple[int, int, float] | None:
        """Return the two groups that are most alike, and how much; None where no two can be joined."""
        if not self._likeness.size:
            return None
        one, other = np.unravel_index(self._likeness.argmax(), self._likeness.shape)
        likeness = self._likeness[one, other]
        return None if likeness == -np.inf else (int(one), int(other), float(likeness))

    def _likeness_of(self, groups: int | slice) -> np.ndarray:
        """Return how alike groups are to all others, -inf for those that they can't be joined with."""
        pairs = self._pairs[groups]
        complete = self._linkage is Linkage.complete
        likeness = self._least[groups] if complete else self._total[groups] / np.maximum(pairs, 1)
        return np.where(self.barred[groups] | (pairs == 0), -np.inf, likeness)
