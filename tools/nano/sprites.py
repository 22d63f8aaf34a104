"""Made objects: a texture in a shape, both of which change from frame to frame."""

from dataclasses import dataclass

import cv2
import numpy as np

from tools.nano.bank_files import PATCH_PX, Bank, Track
from tools.nano.silhouettes import centred, made_shape, to_patch
from tools.nano.textures import recoloured, texture

PICTURED = 0.4  # share of objects that are pictures
CUT_OUT, ANNOTATED = (
    0.45,
    0.37,
)  # shares of the others that are cut out of frames, and with a real shape; the rest are made
LARGEST_STAIN = 0.6  # of a picture's colours
LARGEST_WOBBLE_PX = 7.0


@dataclass(frozen=True)
class Look:
    """A texture and a shape, each a patch."""

    texture: np.ndarray  # (PATCH_PX, PATCH_PX, 3) uint8, RGB
    shape: np.ndarray  # (PATCH_PX, PATCH_PX) uint8, 0 to 255


@dataclass(frozen=True)
class Deformation:
    """How a look changes with time, which counts in frames."""

    wobble_px: float
    waves: np.ndarray  # (2,) across the patch
    phases: np.ndarray  # (4,) radians
    rates: np.ndarray  # (2,) radians a frame
    scroll_px: np.ndarray  # (2,) a frame: the texture slides under the shape, as when a body turns
    morph: float  # how far the shape becomes the other one, 0 to 1
    morph_rate: float  # radians a frame
    depth: np.ndarray | None  # (2, PATCH_PX, PATCH_PX) signed distances to the edges of both shapes


@dataclass(frozen=True)
class Sprite:
    """A made object."""

    look: Look
    deformation: Deformation

    def at(self, frame: float) -> Look:
        """Return what it looks like at a time."""
        change = self.deformation
        shape = _morphed(change, frame) if change.depth is not None else self.look.shape
        columns, rows = _wobbled(change, frame)
        drift = np.abs(change.scroll_px * frame)  # a slide either way looks the same from a mirrored patch
        moved = cv2.remap(
            self.look.texture,
            columns + np.float32(drift[0]),
            rows + np.float32(drift[1]),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return Look(moved, cv2.remap(shape, columns, rows, cv2.INTER_LINEAR))


def _wobbled(change: Deformation, frame: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where each pixel of the patch comes from: columns and rows."""
    place = np.arange(PATCH_PX, dtype=np.float32)
    turn = place / PATCH_PX * np.float32(2 * np.pi)
    along_x = np.sin(turn * change.waves[0] + change.phases[0] + change.rates[0] * frame)[:, None]
    along_y = np.sin(turn * change.waves[1] + change.phases[2] + change.rates[1] * frame)[None]
    columns = place[None] + change.wobble_px * along_x * np.sin(turn / 2 + change.phases[1])[None]
    rows = place[:, None] + change.wobble_px * along_y * np.sin(turn / 2 + change.phases[3])[:, None]
    return columns.astype(np.float32), rows.astype(np.float32)


def _morphed(change: Deformation, frame: float) -> np.ndarray:
    share = change.morph * (0.5 - 0.5 * np.cos(change.morph_rate * frame))
    assert change.depth is not None
    depth = (1 - share) * change.depth[0] + share * change.depth[1]
    return (np.clip(depth + 0.5, 0, 1) * 255).astype(np.uint8)


def signed_distance(shape: np.ndarray) -> np.ndarray:
    """Return each pixel's distance to the edge of the shape, in pixels, negative outside."""
    inside = (shape > 127).astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 3) - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)


def deformation(look: Look, bank: Bank, rng: np.random.Generator, liveliness: float) -> Deformation:
    """Return a way to change; `liveliness` of 0 is stiff."""
    morphs = rng.random() < 0.35
    return Deformation(
        wobble_px=liveliness * rng.choice([0, 0.4, 1]) * LARGEST_WOBBLE_PX,
        waves=rng.uniform(0.5, 1.6, 2),
        phases=rng.uniform(0, 2 * np.pi, 4),
        rates=liveliness * rng.uniform(0.1, 0.9, 2),
        scroll_px=liveliness * rng.normal(0, 2.5, 2) * (rng.random() < 0.4),
        morph=liveliness * rng.uniform(0.2, 0.7) if morphs else 0.0,
        morph_rate=rng.uniform(0.15, 0.8),
        depth=np.stack([signed_distance(look.shape), signed_distance(shape(bank, rng))]) if morphs else None,
    )


def shape(bank: Bank, rng: np.random.Generator) -> np.ndarray:
    """Return an annotated or a made silhouette, mirrored half of the time."""
    annotated = len(bank.silhouettes) and rng.random() < ANNOTATED / (1 - CUT_OUT)
    patch = bank.silhouettes[rng.integers(len(bank.silhouettes))] if annotated else made_shape(rng)
    return np.ascontiguousarray(patch[:, ::-1] if rng.random() < 0.5 else patch)


def new_look(bank: Bank, rng: np.random.Generator) -> Look:
    """Return a picture, a look that is cut out of a frame, or a shape filled with one or more textures."""
    if len(bank.pictures) and rng.random() < PICTURED:
        return pictured(bank, rng)
    cut = cut_out(bank, rng) if bank.tracks and rng.random() < CUT_OUT else None
    return cut or Look(_parts(bank, rng), shape(bank, rng))


def pictured(bank: Bank, rng: np.random.Generator) -> Look:
    """Return the look of a picture, its colours at times exchanged, and in part another texture's."""
    patch = bank.pictures[rng.integers(len(bank.pictures))]
    patch = np.ascontiguousarray(patch[:, ::-1] if rng.random() < 0.5 else patch)
    colours = patch[..., :3][..., rng.permutation(3)] if rng.random() < 0.5 else patch[..., :3]
    share = rng.uniform(0, LARGEST_STAIN) if rng.random() < 0.6 else 0.0
    stained = (1 - share) * colours + share * texture(bank, rng)
    return Look(stained.astype(np.uint8), patch[..., 3])


def like(other: Look, bank: Bank, rng: np.random.Generator) -> Look:
    """Return a look that is easily taken for another: the same, the same texture, or the same shape."""
    draw = rng.random()
    if draw < 0.5:
        return other
    return Look(other.texture, shape(bank, rng)) if draw < 0.8 else Look(texture(bank, rng), other.shape)


def _parts(bank: Bank, rng: np.random.Generator) -> np.ndarray:
    """Return a texture, parts of which are another, so that objects aren't of one colour."""
    patch = texture(bank, rng)
    rows, columns = np.mgrid[:PATCH_PX, :PATCH_PX] - PATCH_PX / 2
    for _ in range(rng.choice([0, 0, 1, 2])):
        angle, middle = rng.uniform(0, 2 * np.pi), rng.normal(0, 20, 2)
        half = np.cos(angle) * (columns - middle[0]) + np.sin(angle) * (rows - middle[1]) > 0
        disk = np.hypot(columns - middle[0], rows - middle[1]) < rng.uniform(12, 40)
        patch = np.where((disk if rng.random() < 0.3 else half)[..., None], texture(bank, rng), patch)
    return patch


def cut_out(bank: Bank, rng: np.random.Generator, track: Track | None = None) -> Look | None:
    """Return an object or region of a real frame with its own pixels; None if it is unfit."""
    track = track or bank.draw_track(rng)
    offset = int(rng.integers(len(track)))
    mask = track.mask(offset)
    patch = to_patch(mask) if mask.any() else None
    if patch is None:
        return None
    x, y, width, height = cv2.boundingRect(mask)
    image = bank.sources[track.source].frames[track.first_frame + offset]
    picture = centred(np.ascontiguousarray(image[y : y + height, x : x + width]), cv2.BORDER_REPLICATE)
    return Look(picture, cv2.morphologyEx(patch, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)))


def new_sprite(look: Look, bank: Bank, rng: np.random.Generator, ground_rgb: np.ndarray) -> Sprite:
    """Return a sprite of a look, its colours drawn somewhat to those of the ground."""
    dressed = Look(recoloured(look.texture, rng, ground_rgb), look.shape)
    return Sprite(dressed, deformation(dressed, bank, rng, liveliness=rng.choice([0, 0.5, 1.0])))
