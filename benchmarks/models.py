"""The models of `conf/model/` for benchmarks: what they are, and weights that all systems share."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from benchmarks.official import build_predictor
from benchmarks.settings import RANDOM_WEIGHTS
from pipeline.engine.sam2_model import read_config

CONF = Path(__file__).parent.parent / "conf" / "model"
MODELS = tuple(sorted(path.stem for path in CONF.glob("*.yaml")))
SEED = 0


@dataclass(frozen=True)
class Model:
    """One file of `conf/model/`."""

    name: str
    architecture: str
    official_weights: str  # a URI, or a file of `pipeline/bundled`

    @property
    def image_size_px(self) -> int:
        """Side of the square that the architecture is made for."""
        return read_config(self.architecture).model.image_size


def model_of(name: str) -> Model:
    """Return the model that `conf/model/<name>.yaml` describes."""
    conf = OmegaConf.load(CONF / f"{name}.yaml")
    return Model(conf.name, conf.architecture, conf.official_weights)


def trained_weights(model: Model, weights_dir: Path | None) -> Path | None:
    """Return the file of the trained weights: the bundled one, or the official one in `weights_dir`."""
    if "://" not in model.official_weights:
        return Path(str(resources.files("pipeline.bundled") / model.official_weights))
    if weights_dir is None:
        return None
    path = weights_dir / PurePosixPath(model.official_weights).name
    return path if path.exists() else None


def write_random_weights(model: Model, folder: Path) -> Path:
    """Write weights that find their objects visible, the same at every call; return the file."""
    path = folder / f"{model.name}_{RANDOM_WEIGHTS}.safetensors"
    if not path.exists():
        save_file(random_weights(model.architecture), path)
    return path


def random_weights(architecture: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(SEED)
    weights = build_predictor(architecture, None).state_dict()
    # Left to chance, most models see no object, and then every mask is empty.
    weights["sam_mask_decoder.pred_obj_score_head.layers.2.bias"] += 1
    return {name: tensor.contiguous() for name, tensor in weights.items()}
