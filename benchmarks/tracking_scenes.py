"""Made videos in which tracking is hard in one way each, and every object's true mask is known.

Each is a function of a seed that yields its frames; nothing else decides them. Colours are clear and motion
is moderate, so that nano can follow at all: what is asked is what the one difficulty does.
"""

from collections.abc import Callable, Iterator
from itertools import chain

import cv2
import numpy as np

from benchmarks.tracking_paint import SIZE_HW, Painted, Place, Sprite, backdrop, bar, blob, paint

RED, BLUE, GREEN, YELLOW = (215, 45, 40), (35, 80, 215), (40, 175, 70), (235, 195, 40)
# Where the second camera's corners lie in the first one's picture, from the upper left on, clockwise: it is
# nearer, rolled by 30 degrees and aslant, so that an object is seen about its own width from where it was.
SECOND_CAMERA_XY = ((146, -18), (415, 135), (334, 298), (56, 138))


def leaving(seed: int) -> Iterator[Painted]:
    """Yield 160 frames: red leaves to the right and returns from there, blue from the other side."""
    wall, red, blue = backdrop("person_cam01.mp4", 0, 0.2), blob(seed, 30, RED), blob(seed + 1, 26, BLUE)
    for t in range(160):
        x_red = 260 + 5.0 * min(t, 160 - t)
        x_blue = 190 - 4.5 * t + (700 if t >= 80 else 0)  # out of sight it is taken to the other side
        red_at, blue_at = Place(x_red, 90 + 6 * np.sin(t / 7)), Place(x_blue, 190 + 5 * np.sin(t / 9))
        yield paint(wall, _sway(t), [(1, red, red_at), (2, blue, blue_at)])


def crossing(seed: int) -> Iterator[Painted]:
    """Yield 150 frames: two of a kind cross twice, each time the other one in front."""
    wall = backdrop("person_cam02.mp4", 0, 0.3)
    one, other = blob(seed, 30, GREEN), blob(seed + 1, 30, GREEN).shaded(0.94)
    for t in range(150):
        off = 100 * np.cos(2 * np.pi * t / 150)
        both = [
            (1, one, Place(240 + off, 140 + 10 * np.sin(t / 8))),
            (2, other, Place(240 - off, 152 - 10 * np.sin(t / 8))),
        ]
        yield paint(wall, _sway(t), both if t < 75 else both[::-1])


def occlusion(seed: int) -> Iterator[Painted]:
    """Yield 140 frames: red and green pass behind a post, one to the right and slower, one to the left."""
    wall, red, green = backdrop("bottles.mp4", 0, 0.0), blob(seed, 27, RED), blob(seed + 1, 30, GREEN)
    post = bar(seed, 84)
    for t in range(140):
        actors = [
            (1, red, Place(60 + 2.6 * t, 80 + 5 * np.sin(t / 8))),
            (2, green, Place(430 - 2.9 * t, 195 + 5 * np.sin(t / 11))),
            (0, post, Place(240, SIZE_HW[0] / 2)),
        ]
        yield paint(wall, (0, 0), actors)


def cuts(seed: int) -> Iterator[Painted]:
    """Yield 160 frames: a room, another, the first again. Green is in the first alone, blue in both."""
    green, blue, yellow = blob(seed, 30, GREEN), blob(seed + 1, 28, BLUE), blob(seed + 2, 30, YELLOW)
    first, second = backdrop("person_cam01.mp4", 0, 0.2), backdrop("bottles.mp4", 0, 0.0)

    def in_first(t: int) -> Painted:
        green_at, blue_at = Place(120 + 1.2 * t, 100 + 8 * np.sin(t / 8)), Place(350 - 0.8 * t, 185)
        return paint(first, _sway(t), [(1, green, green_at), (2, blue, blue_at)])

    def in_second(t: int) -> Painted:
        blue_at, yellow_at = Place(90 + 1.5 * t, 90), Place(330, 190 - 0.8 * t)
        return paint(second, _sway(t), [(2, blue, blue_at), (0, yellow, yellow_at)])

    # The camera that shows the first room again shows what has happened there meanwhile.
    return chain(map(in_first, range(60)), map(in_second, range(50)), (in_first(t) for t in range(90, 140)))


def first_camera(seed: int) -> Iterator[Painted]:
    """Yield 120 frames: blue and green go about a room."""
    wall, blue, green = backdrop("person_cam02.mp4", 40, 0.3), blob(seed, 30, BLUE), blob(seed + 1, 30, GREEN)
    for t in range(120):
        blue_at = Place(150 + 60 * np.sin(t / 20), 100 + 30 * np.cos(t / 20), turn=t / 60)
        green_at = Place(320 - 50 * np.sin(t / 25), 170 + 25 * np.sin(t / 14))
        yield paint(wall, (0, 0), [(1, blue, blue_at), (2, green, green_at)])


def second_camera(seed: int) -> Iterator[Painted]:
    """Yield what `first_camera` shows at the same times, as seen by another one: a known homography."""
    width, height = size = SIZE_HW[::-1]
    corners = np.float32([(0, 0), (width, 0), (width, height), (0, height)])
    seen = cv2.getPerspectiveTransform(np.float32(SECOND_CAMERA_XY), corners)
    for image, labels in first_camera(seed):
        yield Painted(
            cv2.warpPerspective(image, seen, size, borderMode=cv2.BORDER_REPLICATE),
            cv2.warpPerspective(labels, seen, size, flags=cv2.INTER_NEAREST),
        )


def drift(seed: int) -> Iterator[Painted]:
    """Yield 200 frames that can be looped: green goes round, turns, grows, shrinks and is lit anew."""
    wall, green = backdrop("person_cam01.mp4", 0, 0.2), blob(seed, 30, GREEN)
    still: list[tuple[int, Sprite, Place]] = [(0, blob(seed + 1, 22, BLUE), Place(240, 135))]
    for t in range(200):
        round_ = 2 * np.pi * t / 200
        lit = green.shaded(1 + 0.3 * np.sin(2 * round_))
        x, y = 240 + 110 * np.cos(round_), 140 + 60 * np.sin(2 * round_)
        green_at = Place(x, y, scale=1 + 0.25 * np.sin(3 * round_), turn=2 * round_)
        yield paint(wall, (12 * np.sin(round_), 6 * np.cos(round_)), [*still, (1, lit, green_at)])


SCENES: dict[str, Callable[[int], Iterator[Painted]]] = {
    "leaving": leaving,
    "crossing": crossing,
    "occlusion": occlusion,
    "cuts": cuts,
    "camera-1": first_camera,
    "camera-2": second_camera,
    "drift": drift,
}


def _sway(t: int) -> tuple[float, float]:
    """Return how a camera held by hand moves."""
    return 8 * np.sin(t / 23), 4 * np.sin(t / 17)
