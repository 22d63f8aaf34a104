"""The official network's weights under the names of transformers' `Sam2VideoModel`."""

import re
from collections.abc import Mapping

import torch

GAUSSIAN = "sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
POINT_EMBEDDINGS = [f"sam_prompt_encoder.point_embeddings.{i}.weight" for i in range(4)]
# What is left is renamed: each pattern is tried on each name, in this order.
RENAMED = [
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
    (r"^obj_ptr_proj\.", "object_pointer_proj."),
    (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
    (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
    (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
    (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (r"\.dwconv\.", ".depthwise_conv."),
    (r"\.pwconv(\d)\.", r".pointwise_conv\1."),
    (r"\.gamma$", ".scale"),
    (r"\.norm(\d?|_final_attn)\.", r".layer_norm\1."),
    (r"\.out_proj\.", ".o_proj."),
]
MLP_LAYER = re.compile(r"(.+)\.layers\.(\d)\.(weight|bias)")
MASK_DOWNSAMPLER = re.compile(r"(memory_encoder\.mask_downsampler)\.encoder\.(\d+)\.(weight|bias)")
MASK_DOWNSAMPLER_LAYERS = 4  # each a convolution, a norm and an activation; a last convolution follows


def hf_weights(official: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of `Sam2VideoModel`, to be loaded strictly, from those of the official network."""
    apart = {GAUSSIAN, *POINT_EMBEDDINGS}
    renamed = {_hf_name(name, official): tensor for name, tensor in official.items() if name not in apart}
    return renamed | {
        # transformers holds the one matrix twice, and four embeddings of one row as one of four.
        "shared_image_embedding.positional_embedding": official[GAUSSIAN],
        "prompt_encoder.shared_embedding.positional_embedding": official[GAUSSIAN],
        "prompt_encoder.point_embed.weight": torch.cat([official[name] for name in POINT_EMBEDDINGS]),
    }


def _hf_name(name: str, official: Mapping[str, torch.Tensor]) -> str:
    if found := MASK_DOWNSAMPLER.fullmatch(name):
        layer, part = divmod(int(found[2]), 3)
        place = f"layers.{layer}.{('conv', 'layer_norm')[part]}"
        return f"{found[1]}.{'final_conv' if layer == MASK_DOWNSAMPLER_LAYERS else place}.{found[3]}"
    if found := MLP_LAYER.fullmatch(name):
        places = ("proj_in", "layers.0", "proj_out")
        if f"{found[1]}.layers.2.{found[3]}" not in official:
            places = ("proj_in", "proj_out")
        name = f"{found[1]}.{places[int(found[2])]}.{found[3]}"
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
