"""Masks and ids drawn over a frame."""

from dataclasses import dataclass

import numpy as np
import supervision as sv

NAMED_PALETTES = {
    "default": sv.ColorPalette.DEFAULT,
    "roboflow": sv.ColorPalette.ROBOFLOW,
    "legacy": sv.ColorPalette.LEGACY,
}
TRAIL_FRAMES = 30
SMALLEST_TEXT_SCALE = 0.45  # OpenCV's letters break up below it


@dataclass
class OverlayConfig:
    """What is drawn, and how."""

    palette: str = "legacy"  # default, roboflow, legacy, or hex colours: "ff0000 00ff00"
    opacity: float = 0.5  # of the masks, 0 to 1
    trails: bool = False  # where each object's middle was in the last frames
    labels: bool = True  # object id and class name

    def __post_init__(self):
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity is {self.opacity}, expected 0 to 1")
        palette_of(self.palette)


class Overlay:
    """Draws the objects of one video, frame after frame; each keeps one colour, by its id."""

    def __init__(self, config: OverlayConfig, size_hw: tuple[int, int]):
        palette, by_object = palette_of(config.palette), sv.ColorLookup.TRACK
        size_wh = size_hw[1], size_hw[0]
        thickness = sv.calculate_optimal_line_thickness(size_wh)
        self._annotators = [
            sv.MaskAnnotator(palette, opacity=config.opacity, color_lookup=by_object),
            sv.PolygonAnnotator(palette, thickness=thickness, color_lookup=by_object),
        ]
        if config.trails:
            self._annotators.append(
                sv.TraceAnnotator(
                    palette, trace_length=TRAIL_FRAMES, thickness=thickness, color_lookup=by_object
                )
            )
        self._label_annotator = _label_annotator(palette, size_wh) if config.labels else None

    def draw(self, image: np.ndarray, detections: sv.Detections) -> np.ndarray:
        """Return a frame with its objects drawn over it.

        Args:
            image: (height, width, 3) uint8 BGR; drawn on.
            detections: with masks, and object ids as `tracker_id`.
        """
        for annotator in self._annotators:
            image = annotator.annotate(image, detections)
        if self._label_annotator:
            image = self._label_annotator.annotate(image, detections, labels=label_texts(detections))
        return image


def palette_of(text: str) -> sv.ColorPalette:
    """Return a palette by its name, or of hex colours separated by blanks.

    Raises:
        ValueError: neither a known name nor colours.
    """
    if text in NAMED_PALETTES:
        return NAMED_PALETTES[text]
    try:
        return sv.ColorPalette.from_hex(text.split() or [""])
    except ValueError:
        raise ValueError(
            f"palette is {text!r}, expected one of {', '.join(NAMED_PALETTES)}, or hex "
            "colours like 'ff0000 00ff00'"
        ) from None


def label_texts(detections: sv.Detections) -> list[str]:
    """Return "id class name" of each object, or the id alone."""
    object_ids, names = np.asarray(detections.tracker_id), detections.data["class_name"]
    return [f"{object_id} {name}".strip() for object_id, name in zip(object_ids, names, strict=True)]


def _label_annotator(palette: sv.ColorPalette, size_wh: tuple[int, int]) -> sv.LabelAnnotator:
    scale = max(SMALLEST_TEXT_SCALE, sv.calculate_optimal_text_scale(size_wh))
    return sv.LabelAnnotator(
        palette,
        text_color=sv.ColorPalette([_readable_on(color) for color in palette.colors]),
        text_scale=scale,
        text_thickness=max(1, round(1.5 * scale)),
        text_padding=max(3, round(8 * scale)),
        color_lookup=sv.ColorLookup.TRACK,
    )


def _readable_on(color: sv.Color) -> sv.Color:
    """Return black or white, whichever stands out, by the colour's luma (BT.601)."""
    luma = 0.299 * color.r + 0.587 * color.g + 0.114 * color.b
    return sv.Color.BLACK if luma > 140 else sv.Color.WHITE
