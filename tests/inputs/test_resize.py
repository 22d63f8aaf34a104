import numpy as np
import pytest
from PIL import Image
from sam2.utils.misc import _load_img_as_tensor

from pipeline.inputs.images import decode_images
from pipeline.inputs.resize import to_model_input
from tests.inputs.clips import picture


@pytest.mark.parametrize("size_hw", [(48, 64), (300, 200), (256, 256), (721, 1283), (1, 1)])
@pytest.mark.parametrize("side_px", [64, 256])
def test_the_models_input_is_the_official_one(size_hw, side_px, tmp_path):
    Image.fromarray(picture(0, *size_hw)).save(tmp_path / "00000.jpg", quality=95)
    official, height, width = _load_img_as_tensor(tmp_path / "00000.jpg", side_px)

    frame = to_model_input(next(decode_images(tmp_path)), side_px)

    assert frame.video_size_hw == (height, width)
    assert np.abs(frame.image - official.permute(1, 2, 0).numpy() * 255).max() <= 1
