"""FRAME -> MASK: the SAM mask decoder for tracked frames, many objects at once.

Equal to the sam2 package's `_forward_sam_heads` without prompts but for rounding. Its tokens are then
constants, so the first self-attention is one too; of three masks only the chosen one is computed, and
that before anything is upsampled; both upsamplings are matrix products over tokens.
"""

from typing import Any

import torch
import torch.nn.functional as F
from sam2.modeling.sam.transformer import Attention, TwoWayAttentionBlock
from sam2.modeling.sam2_base import NO_OBJ_SCORE, SAM2Base
from torch import nn

from pipeline.engine.candidates import Candidates, HeadOutput
from pipeline.engine.folding import linear, unfolding


class MaskDecoder(nn.Module):
    """The heads of tracking, for one size of frame."""

    def __init__(self, official: SAM2Base):
        super().__init__()
        decoder: Any = official.sam_mask_decoder
        prompts = official.sam_prompt_encoder
        position = prompts.get_dense_pe()[0].flatten(1).T  # (token, channel)
        tokens = torch.cat([*_output_tokens(decoder), _no_prompt(official)])
        first, *rest = decoder.transformer.layers
        queries = first.norm1(first.self_attn(tokens[None], tokens[None], tokens[None]))
        self.tokens, self.first_queries = nn.Buffer(tokens.detach()), nn.Buffer(queries.detach())
        self.no_mask = nn.Buffer(prompts.no_mask_embed.weight.detach())
        self.position = nn.Buffer(position.detach().contiguous())
        self.layers: Any = nn.ModuleList(_TwoWayLayer(layer) for layer in (first, *rest))
        self.last_attention = _TokensToImage(decoder.transformer.final_attn_token_to_image)
        self.last_norm = decoder.transformer.norm_final_attn
        self.upscaling = _Upscaling(decoder)
        self.heads = _Heads(official)

    def forward(self, embedding: torch.Tensor, middle: torch.Tensor, fine: torch.Tensor) -> HeadOutput:
        """Return one mask an object.

        Args:
            embedding: (lane, token, channel), after memory attention.
            middle: (lane, token, 4, channel / 4), the frame at twice the resolution.
            fine: (lane, token, 16, channel / 8), at four times.
        """
        queries, pixels = self._attended(embedding, middle, fine)
        hyper, pointer, object_score, iou_score = self.heads(queries)
        return HeadOutput(_logits(pixels, hyper, object_score)[:, None], pointer, object_score, iou_score)

    def candidates(self, embedding: torch.Tensor, middle: torch.Tensor, fine: torch.Tensor) -> Candidates:
        """Return all three masks an object; `forward` takes the one of the highest predicted IoU."""
        queries, pixels = self._attended(embedding, middle, fine)
        hyper, pointers, object_score, iou_scores = self.heads.of_all(queries)
        logits = [_logits(pixels, of_one, object_score) for of_one in hyper]
        return Candidates(torch.stack(logits, 1), torch.stack(pointers, 1), object_score, iou_scores)

    def _attended(
        self, embedding: torch.Tensor, middle: torch.Tensor, fine: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the decoder's tokens, (lane, query, channel), and (lane, token, 16, channel / 8)."""
        image = embedding + self.no_mask
        queries = self.first_queries.expand(len(image), -1, -1)
        for i, layer in enumerate(self.layers):
            queries = layer.attend_self(queries, self.tokens) if i else queries
            queries, image = layer(queries, image, self.tokens, self.position)
        attended = self.last_attention(queries + self.tokens, image, self.position)
        return self.last_norm(queries + attended), self.upscaling(image, middle, fine)


class _TwoWayLayer(nn.Module):
    """Tokens look at themselves and at the image, then the image looks at them."""

    def __init__(self, official: TwoWayAttentionBlock):
        super().__init__()
        self.self_attention, self.mlp = official.self_attn, official.mlp
        self.norm1, self.norm2 = official.norm1, official.norm2
        self.norm3, self.norm4 = official.norm3, official.norm4
        self.to_image = _TokensToImage(official.cross_attn_token_to_image)
        self.to_tokens = _ImageToTokens(official.cross_attn_image_to_token)

    def attend_self(self, queries: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        placed = queries + tokens
        return self.norm1(queries + self.self_attention(placed, placed, queries))

    def forward(
        self, queries: torch.Tensor, image: torch.Tensor, tokens: torch.Tensor, position: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        queries = self.norm2(queries + self.to_image(queries + tokens, image, position))
        queries = self.norm3(queries + self.mlp(queries))
        return queries, self.norm4(image + self.to_tokens(image, queries + tokens, queries, position))


class _TokensToImage(nn.Module):
    """Attention whose keys and values are the image, without projecting it.

    A head's q (W image)^T is (q W) image^T, and a bias of keys changes no softmax. With values it is the
    same: their projection follows the sum over the image, since a row of a softmax sums to 1.
    """

    def __init__(self, official: Attention):
        super().__init__()
        self.query, self.out = _scaled_query(official), official.out_proj
        self.key = nn.Parameter(_by_head(official.k_proj.weight, official.num_heads))
        self.value = nn.Parameter(_by_head(official.v_proj.weight, official.num_heads).mT.contiguous())
        self.value_bias = official.v_proj.bias

    def forward(self, queries: torch.Tensor, image: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        absorbed = _absorb(self.query(queries), self.key)
        scores = torch.baddbmm(absorbed @ position.T, absorbed, image.mT)
        seen = (torch.softmax(scores, -1) @ image).unflatten(1, (len(self.key), -1))
        attended = seen.transpose(0, 1).flatten(1, 2) @ self.value  # (head, lane * token, channel)
        attended = attended.unflatten(1, (len(image), -1)).permute(1, 2, 0, 3).flatten(2)
        return self.out(attended + self.value_bias)


class _ImageToTokens(nn.Module):
    """Attention whose queries are the image, neither projecting it nor the outcome."""

    def __init__(self, official: Attention):
        super().__init__()
        query, heads = _scaled_query(official), official.num_heads
        self.key, self.value = official.k_proj, official.v_proj
        self.query = nn.Parameter(_by_head(query.weight, heads))
        self.query_bias = query.bias
        self.out = nn.Parameter(_by_head(official.out_proj.weight.T, heads))
        self.out_bias = official.out_proj.bias
        self.heads = heads

    def forward(
        self, image: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, position: torch.Tensor
    ) -> torch.Tensor:
        keys = self.key(keys)
        absorbed = _absorb(keys, self.query)
        biases = (keys * self.query_bias).unflatten(-1, (self.heads, -1)).sum(-1).mT.flatten(1)
        constant = absorbed @ position.T + biases[..., None]
        scores = torch.baddbmm(constant, absorbed, image.mT)
        # With the image's tokens last, the softmax over a head's few keys runs over whole vectors.
        weights = torch.softmax(scores.unflatten(1, (self.heads, -1)), 2).flatten(1, 2)
        return torch.baddbmm(self.out_bias, weights.mT, _absorb(self.value(values), self.out))


class _Upscaling(nn.Module):
    """From a token to its 16 pixels' features."""

    def __init__(self, decoder: Any):
        super().__init__()
        first, norm, _, second, _ = decoder.output_upscaling
        self.first, self.second = unfolding(first), unfolding(second)
        self.norm_weight, self.norm_bias, self.norm_eps = norm.weight, norm.bias, norm.eps

    def forward(self, image: torch.Tensor, middle: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Return (lane, token, 16, channel / 8)."""
        x = self.first(image).unflatten(-1, middle.shape[-2:]) + middle
        x = F.gelu(F.layer_norm(x, self.norm_weight.shape, self.norm_weight, self.norm_bias, self.norm_eps))
        return F.gelu(self.second(x).flatten(-2).unflatten(-1, fine.shape[-2:]) + fine)


class _Heads(nn.Module):
    """From the decoder's tokens to the chosen mask's weights, its pointer and scores."""

    def __init__(self, official: SAM2Base):
        super().__init__()
        decoder: Any = official.sam_mask_decoder
        self.iou, self.object_score = decoder.iou_prediction_head, decoder.pred_obj_score_head
        self.hyper = nn.ModuleList(decoder.output_hypernetworks_mlps[1:])
        self.pointer, self.no_pointer = official.obj_ptr_proj, official.no_obj_ptr
        self.fixed, self.soft = official.fixed_no_obj_ptr, official.soft_no_obj_ptr

    def forward(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the chosen mask's weights, (lane, channel), its pointer, the object's score, its IoU."""
        score, ious, masks = self._read(queries)
        iou, best = ious.max(-1, keepdim=True)
        hyper = torch.stack([mlp(masks[:, i]) for i, mlp in enumerate(self.hyper)], 1)
        return _chosen(hyper, best), self._pointer(_chosen(masks, best), score), score, iou

    def of_all(
        self, queries: torch.Tensor
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor, torch.Tensor]:
        """Return the same of all three masks, each computed as if it had been chosen."""
        score, ious, masks = self._read(queries)
        hyper = [mlp(masks[:, i]) for i, mlp in enumerate(self.hyper)]
        return hyper, [self._pointer(mask, score) for mask in masks.unbind(1)], score, ious

    def _read(self, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the object's score, the IoU of the three masks of multimask output, and their tokens."""
        score = self.object_score(queries[:, 0]).float()
        # The first one of four is for single masks.
        return score, self.iou(queries[:, 1])[:, 1:].float(), queries[:, 3:6]

    def _pointer(self, mask: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
        pointer = self.pointer(mask).float()
        present = score.sigmoid() if self.soft else (score > 0).float()
        return (present * pointer if self.fixed else pointer) + (1 - present) * self.no_pointer


def _output_tokens(decoder: Any) -> list[torch.Tensor]:
    return [decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight]


def _no_prompt(official: SAM2Base) -> torch.Tensor:
    """Return the tokens that stand for no prompt, (token, channel)."""
    points, labels = torch.zeros(1, 1, 2), -torch.ones(1, 1, dtype=torch.int32)
    sparse, _ = official.sam_prompt_encoder(points=(points, labels), boxes=None, masks=None)
    return sparse[0]


def _scaled_query(official: Attention) -> nn.Linear:
    """Return the projection of queries with the softmax's scale in its weights."""
    scale = (official.internal_dim // official.num_heads) ** -0.5
    return linear(official.q_proj.weight * scale, official.q_proj.bias * scale)


def _by_head(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Return (head, channel of the head, channel in) of a projection's weight."""
    return weight.detach().unflatten(0, (heads, -1)).contiguous()


def _absorb(tokens: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return (lane, head * token, channel): each head's part of projected tokens times its weight."""
    lanes, heads = len(tokens), len(weight)
    by_head = tokens.unflatten(-1, (heads, -1)).permute(2, 0, 1, 3).flatten(1, 2)
    return (by_head @ weight).unflatten(1, (lanes, -1)).transpose(0, 1).flatten(1, 2)


def _chosen(x: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
    """Return (lane, channel) of (lane, mask, channel) by (lane, 1) indices."""
    return x.gather(1, best[..., None].expand(-1, -1, x.shape[-1]))[:, 0]


def _logits(pixels: torch.Tensor, hyper: torch.Tensor, object_score: torch.Tensor) -> torch.Tensor:
    """Return (lane, height, width) of one mask a lane."""
    # Not a product of matrices, whose rounding would depend on how many lanes there are.
    logits = (pixels * hyper[:, None, None]).sum(-1, dtype=torch.float32)
    return _raster(torch.where(object_score[..., None] > 0, logits, NO_OBJ_SCORE))


def _raster(logits: torch.Tensor) -> torch.Tensor:
    """Put (lane, token, 2 * 2 * 2 * 2 pixels) in place: (lane, height, width)."""
    side = round(logits.shape[1] ** 0.5)
    x = logits.unflatten(2, (2, 2, 2, 2)).unflatten(1, (side, side))
    return x.permute(0, 1, 3, 5, 2, 4, 6).flatten(1, 3).flatten(2)
