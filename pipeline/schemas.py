"""Parquet schemas: the contracts with the tables' readers. A change bumps the version."""

import pyarrow as pa

MANIFEST_VERSION = "1"
DETECTIONS_VERSION = "2"
MASKS_VERSION = "2"
QUALITY_VERSION = "1"

# (height, width) and COCO's compressed counts: `pycocotools.mask.decode` takes it as it is.
RLE_TYPE = pa.struct(
    [
        pa.field("size", pa.list_(pa.int32()), nullable=False),
        pa.field("counts", pa.binary(), nullable=False),
    ]
)

MANIFEST = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),  # stable name; the key of everything written
        pa.field("video_uri", pa.string(), nullable=False),  # fsspec URI, or a path relative to the manifest
        pa.field("object_id", pa.int32(), nullable=False),  # from 1, unique within a video
        pa.field("frame_index", pa.int64()),  # frame that the prompt is on, from 0, in display order
        pa.field("time_seconds", pa.float64()),  # instead of frame_index: the frame on show at that time
        pa.field("points_xy", pa.list_(pa.list_(pa.float32(), 2))),  # pixels of the displayed frame
        pa.field("point_labels", pa.list_(pa.int8())),  # one a point: 1 on the object, 0 not
        pa.field("box_xyxy", pa.list_(pa.float32(), 4)),  # pixels: x0, y0, x1, y1
        pa.field("mask_rle", RLE_TYPE),  # at the displayed frame's size
        pa.field("label", pa.string()),  # class name, carried into the output; null: as in other rows
        pa.field("prompt_video_uri", pa.string()),  # the prompt's frame comes from this other video
        pa.field("kind", pa.string()),  # keyframe (default) or correction
    ],
    metadata={"schema_version": MANIFEST_VERSION},
)

DETECTIONS = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),  # as prompts are to name it
        pa.field("frame_index", pa.int64(), nullable=False),  # from 0, in display order
        pa.field("box_xyxy", pa.list_(pa.float32(), 4), nullable=False),  # pixels of the displayed frame
        pa.field("score", pa.float32(), nullable=False),  # 0 to 1, the detector's
        pa.field("label", pa.string()),  # class name
        pa.field("video_uri", pa.string()),  # as in the manifest; null: `videos=` of the job says where it is
    ],
    metadata={"schema_version": DETECTIONS_VERSION},
)

MASKS = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("object_id", pa.int32(), nullable=False),
        pa.field("frame_index", pa.int32(), nullable=False),
        pa.field("time_seconds", pa.float64(), nullable=False),  # presentation time of the frame
        pa.field("rle", RLE_TYPE, nullable=False),  # at the video's own size; empty where unseen
        pa.field("area_px", pa.int32(), nullable=False),
        pa.field("box_xyxy", pa.list_(pa.float32(), 4)),  # tight, half-open; null where the mask is empty
        pa.field("object_score", pa.float32(), nullable=False),  # logit; above 0 the object is visible
        pa.field("iou_score", pa.float32(), nullable=False),  # the model's own estimate of the mask's IoU
        pa.field("prompted", pa.bool_(), nullable=False),  # a prompt was given for this object on this frame
        pa.field("label", pa.string()),
        # IoU of the mask cut off at logits of +1 and -1, at low resolution; null where neither has a pixel
        pa.field("stability_score", pa.float32()),
    ],
    metadata={"schema_version": MASKS_VERSION},
)

QUALITY = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("object_id", pa.int32(), nullable=False),
        pa.field("frame_index", pa.int32(), nullable=False),
        pa.field("severity", pa.float32(), nullable=False),  # 0: nothing is amiss; the sum of what is
        pa.field("reasons", pa.list_(pa.string()), nullable=False),  # what is amiss, the worst first
        pa.field("object_score", pa.float32(), nullable=False),  # as in the masks, like the next two
        pa.field("iou_score", pa.float32(), nullable=False),
        pa.field("stability_score", pa.float32()),
        pa.field("area_ratio", pa.float32()),  # to the median of the last visible frames; null where unknown
        pa.field("moved", pa.float32()),  # by the box's middle, in square roots of that median
        pa.field("stray_share", pa.float32()),  # of the mask, outside its largest island; null: not measured
        pa.field("at_edge", pa.bool_(), nullable=False),  # the mask touches the frame's edge
    ],
    metadata={"schema_version": QUALITY_VERSION},
)

VIDEOS = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("video_uri", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # done, unfinished, quarantined, or partial
        pa.field("shards", pa.int32(), nullable=False),
        pa.field("objects", pa.int32(), nullable=False),
        pa.field("frames", pa.int64(), nullable=False),  # that have masks
        pa.field("seconds", pa.float64(), nullable=False),  # of each shard's last attempt, summed
        pa.field(
            "frames_per_second", pa.float64()
        ),  # of each shard's last attempt; null where nothing was done
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("fault_class", pa.string()),  # of what was given up
        pa.field("message", pa.string()),
        pa.field("flags", pa.list_(pa.string()), nullable=False),  # what short memory led to
    ],
    metadata={"schema_version": "1"},
)

# Frames [start, stop), and from when to when they are on show; the end is an average frame after the last.
SPAN_TYPE = pa.struct(
    [
        pa.field("start_frame", pa.int32(), nullable=False),
        pa.field("stop_frame", pa.int32(), nullable=False),
        pa.field("start_seconds", pa.float64(), nullable=False),
        pa.field("stop_seconds", pa.float64(), nullable=False),
    ]
)

OBJECTS = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("object_id", pa.int32(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("first_frame", pa.int32()),  # that it is visible on; null where it never is, as all below
        pa.field("last_frame", pa.int32()),
        pa.field("frames_visible", pa.int32(), nullable=False),
        pa.field("sure_spans", pa.list_(SPAN_TYPE), nullable=False),  # iou_score at least half its highest
        pa.field("mean_area_px", pa.float64()),  # of the frames that it is visible on, as all means
        pa.field("max_area_px", pa.int32()),
        pa.field("mean_object_score", pa.float64()),
        pa.field("mean_iou_score", pa.float64()),
        pa.field("embedding", pa.list_(pa.float32())),  # of length 1; null where none was made
        pa.field("embedding_frames", pa.list_(pa.int32()), nullable=False),  # that it is the mean of
        pa.field("extractor", pa.string()),  # what made the embedding: sam2, or module:function
        pa.field("weights_sha256", pa.string(), nullable=False),  # of the model that made the masks
    ],
    metadata={"schema_version": "1"},
)

LINK_TYPE = pa.struct(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("object_id", pa.int32(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),  # cosine of the two embeddings
    ]
)

IDENTITIES = pa.schema(
    [
        pa.field("identity_id", pa.int32(), nullable=False),  # from 1, over all videos of the run
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("object_id", pa.int32(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("score", pa.float32()),  # how alike what was joined is, -1 to 1; null for one that is alone
        pa.field("links", pa.list_(LINK_TYPE), nullable=False),  # the objects that it was joined to directly
    ],
    metadata={"schema_version": "1"},
)
