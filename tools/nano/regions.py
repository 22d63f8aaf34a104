"""Regions of a picture that look alike inside, by the graph of Felzenszwalb and Huttenlocher (2004)."""

import cv2
import numpy as np

SCALE = 350.0
SMALLEST_PX = 250
SHRINK = 0.6
AREA_SHARE = (0.012, 0.3)  # of the frame: what is smaller is texture, what is larger is ground


def regions(image: np.ndarray, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return up to `most` regions of an image, drawn at random.

    Args:
        image: (height, width, 3) uint8.
        most: How many.
        rng: Draws them.

    Returns:
        Masks, (height, width) uint8, 0 or 1.
    """
    small = cv2.resize(image, None, fx=SHRINK, fy=SHRINK, interpolation=cv2.INTER_AREA)
    labels = segment(cv2.GaussianBlur(small, (0, 0), 0.8))
    labels = cv2.resize(labels, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    values, areas = np.unique(labels, return_counts=True)
    fitting = values[(areas > AREA_SHARE[0] * labels.size) & (areas < AREA_SHARE[1] * labels.size)]
    return [(labels == value).astype(np.uint8) for value in rng.permutation(fitting)[:most]]


def segment(image: np.ndarray) -> np.ndarray:
    """Return a label for each pixel: (height, width) int32."""
    height, width = image.shape[:2]
    ends, weights = _edges(image.astype(np.float32))
    order = np.argsort(weights, kind="stable")
    forest = _Forest(height * width)
    for (one, other), weight in zip(ends[order].tolist(), weights[order].tolist(), strict=True):
        forest.join_if_alike(one, other, weight)
    for one, other in ends[order].tolist():
        forest.join_if_small(one, other)
    return np.array([forest.root(pixel) for pixel in range(height * width)], np.int32).reshape(height, width)


def _edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that each edge joins, (edge, 2), and how much they differ, (edge,)."""
    pixels = np.arange(image.shape[0] * image.shape[1]).reshape(image.shape[:2])
    ends, weights = [], []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        ends.append(np.stack([pixels[one].ravel(), pixels[other].ravel()], 1))
        weights.append(np.linalg.norm(image[one] - image[other], axis=-1).ravel())
    return np.concatenate(ends), np.concatenate(weights)


class _Forest:
    """Sets of pixels, and how much the pixels of each differ at most along its tree."""

    def __init__(self, pixels: int):
        self.parent = list(range(pixels))
        self.size = [1] * pixels
        self.limit = [SCALE] * pixels  # what an edge may weigh to join the set to another

    def root(self, pixel: int) -> int:
        parent = self.parent
        while parent[pixel] != pixel:
            parent[pixel] = parent[parent[pixel]]
            pixel = parent[pixel]
        return pixel

    def join_if_alike(self, one: int, other: int, weight: float) -> None:
        one, other = self.root(one), self.root(other)
        if one != other and weight <= self.limit[one] and weight <= self.limit[other]:
            self._join(one, other)
            self.limit[one] = weight + SCALE / self.size[one]

    def join_if_small(self, one: int, other: int) -> None:
        one, other = self.root(one), self.root(other)
        if one != other and min(self.size[one], self.size[other]) < SMALLEST_PX:
            self._join(one, other)

    def _join(self, one: int, other: int) -> None:
        self.parent[other] = one
        self.size[one] += self.size[other]
