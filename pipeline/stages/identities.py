"""Which objects are one: decided from when they are seen and how alike they look, without any I/O.

Two steps. Within a video, ends of objects are matched with beginnings soon after (Hungarian method). Then
objects of different videos are joined, the most alike first (agglomerative clustering). What can't be one,
such as two objects of a video that are seen at the same time, is never joined, not even by way of a third.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.stages.clusters import Clusters, Linkage

LEAST_GAIN = 1e-9  # of a match that is just good enough: 0 is none


@dataclass
class WithinConfig:
    """When an object is the one that ended before it in the same video."""

    min_similarity: float = 0.9  # cosine
    max_gap_seconds: float = 10.0  # between the two

    def __post_init__(self):
        _check_similarity("within", self.min_similarity)
        if self.max_gap_seconds < 0:
            raise ValueError(f"within.max_gap_seconds must be 0 or more, got {self.max_gap_seconds}")


@dataclass
class AcrossConfig:
    """When objects of different videos are one."""

    min_similarity: float = 0.97  # cosine
    linkage: Linkage = Linkage.average
    never_at_once: bool = False  # videos share a clock, and nothing is in two of them at the same time

    def __post_init__(self):
        _check_similarity("across", self.min_similarity)


@dataclass
class LinkConfig:
    """When objects are one."""

    within: WithinConfig = field(default_factory=WithinConfig)
    across: AcrossConfig = field(default_factory=AcrossConfig)
    max_overlap_seconds: float = 0.1  # that two objects may be seen at once and still be one
    centre: bool = False  # compare by how embeddings differ from the mean of all that can be compared

    def __post_init__(self):
        if self.max_overlap_seconds < 0:
            raise ValueError(f"max_overlap_seconds must be 0 or more, got {self.max_overlap_seconds}")


def _check_similarity(step: str, similarity: float) -> None:
    if not -1 <= similarity <= 1:
        raise ValueError(f"{step}.min_similarity must be -1 to 1, got {similarity}")


@dataclass(frozen=True)
class Seen:
    """An object, as far as it matters here."""

    video_id: str
    object_id: int
    kind: tuple  # only objects of one kind can be compared: label, and what made the embedding
    spans_seconds: tuple[tuple[float, float], ...]  # [start, stop) that it is seen in, in order
    embedding: np.ndarray | None  # (channel,)

    def __post_init__(self):
        if self.embedding is not None and not self.spans_seconds:
            raise ValueError(f"{self.video_id}, object {self.object_id}: has an embedding and is never seen")


class Link(NamedTuple):
    """Two objects that were found to be one, by their places in a list."""

    first: int
    second: int
    similarity: float  # cosine of the two
    score: float  # what they were joined by: with several objects on a side, the linkage's value


def find_links(objects: Sequence[Seen], config: LinkConfig) -> list[Link]:
    """Return the links that make identities of objects; without a link, an object is one by itself."""
    comparable = [i for i, one in enumerate(objects) if one.embedding is not None]
    chosen = [objects[i] for i in comparable]
    if not chosen:
        return []
    videos = np.array([one.video_id for one in chosen])
    compared = videos[:, None] != videos
    similarity = similarities(chosen, config.centre)
    groups = Clusters(similarity, cannot_be_one(chosen, config), compared, config.across.linkage)
    links = join_within(chosen, similarity, groups, config.within)
    links += join_across(similarity, compared, groups, config.across)
    return [link._replace(first=comparable[link.first], second=comparable[link.second]) for link in links]


def similarities(objects: Sequence[Seen], centre: bool) -> np.ndarray:
    """Return the cosine of each two objects' embeddings, (object, object) float64; 0 between kinds."""
    similarity = np.zeros((len(objects), len(objects)))
    for kind in {one.kind for one in objects}:
        of_kind = [i for i, one in enumerate(objects) if one.kind == kind]
        vectors = np.stack([np.asarray(objects[i].embedding, np.float64) for i in of_kind])
        vectors -= vectors.mean(0) if centre else 0
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        similarity[np.ix_(of_kind, of_kind)] = vectors @ vectors.T
    return similarity


def cannot_be_one(objects: Sequence[Seen], config: LinkConfig) -> np.ndarray:
    """Return which pairs are of two kinds, or seen at the same time: (object, object) bool, symmetric."""
    barred = np.eye(len(objects), dtype=bool)
    for i, j in combinations(range(len(objects)), 2):
        one, other = objects[i], objects[j]
        share_time = one.video_id == other.video_id or config.across.never_at_once
        barred[i, j] = barred[j, i] = one.kind != other.kind or (
            share_time and overlap_seconds(one, other) > config.max_overlap_seconds
        )
    return barred


def overlap_seconds(one: Seen, other: Seen) -> float:
    """Return for how long both are seen."""
    ours, theirs = list(one.spans_seconds), list(other.spans_seconds)
    seconds = 0.0
    while ours and theirs:
        seconds += max(0.0, min(ours[-1][1], theirs[-1][1]) - max(ours[-1][0], theirs[-1][0]))
        (ours if ours[-1][0] >= theirs[-1][0] else theirs).pop()  # nothing before can reach the later one
    return seconds


def join_within(
    objects: Sequence[Seen], similarity: np.ndarray, groups: Clusters, config: WithinConfig
) -> list[Link]:
    """Join objects of a video where one ends and another begins, so that the similarities' sum is highest."""
    links = []
    for video_id in dict.fromkeys(one.video_id for one in objects):
        same_video = [i for i, one in enumerate(objects) if one.video_id == video_id]
        gain = np.array(
            [
                [_gain(objects[i], objects[j], similarity[i, j], config) for j in same_video]
                for i in same_video
            ]
        )
        gain[groups.barred[np.ix_(same_video, same_video)]] = 0
        ends, beginnings = linear_sum_assignment(gain, maximize=True)
        matched = [
            (same_video[e], same_video[b]) for e, b in zip(ends, beginnings, strict=True) if gain[e, b]
        ]
        for i, j in sorted(matched, key=lambda pair: -similarity[pair]):
            if groups.join(i, j):
                links.append(Link(i, j, float(similarity[i, j]), float(similarity[i, j])))
    return links


def _gain(ends: Seen, begins: Seen, similarity: float, config: WithinConfig) -> float:
    """Return by how much two objects are more alike than they must be to be one; 0: they are not one."""
    follows = ends.spans_seconds[0] < begins.spans_seconds[0]
    gap_seconds = begins.spans_seconds[0][0] - ends.spans_seconds[-1][1]
    if not follows or gap_seconds > config.max_gap_seconds or similarity < config.min_similarity:
        return 0.0
    return similarity - config.min_similarity + LEAST_GAIN


def join_across(
    similarity: np.ndarray, compared: np.ndarray, groups: Clusters, config: AcrossConfig
) -> list[Link]:
    """Join groups of objects, the two most alike first, as long as they are alike enough."""
    links = []
    while (best := groups.most_alike()) is not None and best[2] >= config.min_similarity:
        one, other, score = best
        members = np.ix_(groups.members(one), groups.members(other))
        pairs = np.where(compared[members], similarity[members], -np.inf)
        row, column = np.unravel_index(pairs.argmax(), pairs.shape)
        first, second = int(members[0][row, 0]), int(members[1][0, column])
        links.append(Link(first, second, float(similarity[first, second]), score))
        groups.join(one, other)
    return links
