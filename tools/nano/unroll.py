"""A batch of clips through the network: prompts, memory, corrections, and the loss of each decoded frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from sam2.modeling.sam2_base import SAM2Base

from pipeline.inputs.manifest_write import PromptKind
from tools.nano.batches import Batch
from tools.nano.losses import FrameLoss, frame_loss
from tools.nano.prompts import Points, corrections, joined, points_for
from tools.nano.tracker import Tracker, encode, listening

MASK_PROMPT_WEIGHT = 0.3  # of the loss on a frame whose mask was given
CORRECTED_FIRST, CORRECTED_LATER = (
    0.35,
    0.2,
)  # shares of batches with clicks that correct the first, or a later frame
MOST_CLICKS = 2
LOGIT_LIMIT = 32.0  # of masks fed back, as in the predictor
TOLD_FIRST = (
    0.3  # least share of objects that remember the true mask of the first frame: all else rests on it
)


@dataclass(frozen=True)
class Teaching:
    """What eases the task while the network is young."""

    told_share: float  # chance of an object to remember its true mask instead of the one found
    balance: float  # see `frame_loss`; for frames with points


@dataclass(frozen=True)
class Term:
    """The loss of one run of the decoder."""

    frame: int
    corrected: bool
    weight: float
    loss: FrameLoss


def clip_terms(network: SAM2Base, batch: Batch, device: str, teaching: Teaching) -> list[Term]:
    """Return a term for each run of the decoder on a batch, the network being in training on `device`."""
    rng = np.random.default_rng(batch.seed)
    masks = torch.from_numpy(batch.masks).to(device)
    count = masks.shape[1]
    corrected = {0} if batch.kind != PromptKind.mask and rng.random() < CORRECTED_FIRST else set()
    if count > 2 and rng.random() < CORRECTED_LATER:
        corrected.add(int(rng.integers(1, count)))
    terms: list[Term] = []
    with listening(network) as decoded:
        clips = torch.from_numpy(batch.clip_of_object).to(device)
        tracker = Tracker(network, encode(network, torch.from_numpy(batch.frames).to(device), clips), decoded)
        for frame in range(count):
            run = _Frame(tracker, frame, masks[:, frame], batch.kind, rng, teaching)
            terms += run.terms(MOST_CLICKS if frame in corrected else 0, is_last=frame == count - 1)
    return terms


def total_loss(terms: list[Term]) -> torch.Tensor:
    """Return the loss to descend: the sum over terms, over the number of frames."""
    frames = 1 + max(term.frame for term in terms)
    return torch.stack([term.weight * term.loss.total for term in terms]).sum() / frames


@dataclass(frozen=True)
class _Frame:
    """One frame of a batch."""

    tracker: Tracker
    frame: int
    truth: torch.Tensor  # (object, side, side) bool
    kind: PromptKind
    rng: np.random.Generator
    teaching: Teaching

    def terms(self, clicks: int, is_last: bool) -> Iterator[Term]:
        """Decode the frame, correct it with up to `clicks` clicks, and remember it unless it is the last."""
        points, given = self._prompt()
        step = self.tracker.step(self.frame, points, given, None)
        yield self._term(step, points, given is not None, corrected=False)
        for _ in range(int(self.rng.integers(1, clicks + 1)) if clicks else 0):
            output = step[0]
            found = (output[4][:, 0] > 0).detach().cpu().numpy()
            points = joined(points, self._placed(corrections(found, self.truth.cpu().numpy(), self.rng)))
            fed_back = output[3].detach().clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
            step = self.tracker.step(self.frame, points, None, fed_back)
            yield self._term(step, points, given=False, corrected=True)
        if not is_last:
            share = self.teaching.told_share
            share = share if self.frame else max(share, TOLD_FIRST)
            told = torch.from_numpy(self.rng.random((len(self.truth), 1)) < share).to(self.truth.device)
            self.tracker.remember(self.frame, step, points, told, self.truth.float())

    def _prompt(self) -> tuple[Points | None, torch.Tensor | None]:
        if self.frame:
            return None, None
        if self.kind == PromptKind.mask:
            return None, self.truth[:, None].float()
        return self._placed(points_for(self.kind, self.truth.cpu().numpy(), self.rng)), None

    def _placed(self, points: Points) -> Points:
        return {name: tensor.to(self.truth.device) for name, tensor in points.items()}

    def _term(self, step, points: Points | None, given: bool, corrected: bool) -> Term:
        one_click = points is not None and points["point_labels"].shape[1] == 1
        balance = self.teaching.balance if points is not None else 0.0
        loss = frame_loss(step[1], self.truth.float(), one_click, balance)
        return Term(self.frame, corrected, MASK_PROMPT_WEIGHT if given else 1.0, loss)
