"""HRN's networks as export, build and runtime see them: names, dtypes, shapes, ranges, and what stays in FP32."""

from __future__ import annotations

from trtkit.models.spec import NetworkSpec, TensorSpec

FACE = 224
"""Side of the aligned crop that net_recon, the 106-point network and s3fd see."""
MID, HIGH, TEXTURE = 64, 256, 512
"""Sides of mid_net's maps, of high_net's maps and of the de-retouching network's texture."""
DETECT = 512
"""Side of the square RetinaFace sees."""
RETINAFACE_ANCHORS, S3FD_ANCHORS = 10752, 4282
"""Anchors on a square of DETECT, and of FACE."""

_ANY = (-65504.0, 65504.0)
"""Values no range is stated for, other than that half precision must hold them."""

_NORMS = 1e-3
"""Parity of the networks with instance norms. ONNX Runtime's CPU kernel adds 65536 values one after the other: where a
channel hardly varies, that shows as 2e-4 of the largest value, PyTorch being 7e-6 from float64."""

RECON = NetworkSpec(
    name="net_recon",
    relative=True,
    inputs=(TensorSpec("image", "uint8", ("N", FACE, FACE, 3), (0, 255), "RGB"),),
    outputs=(TensorSpec("coefficients", "float32", ("N", 257), _ANY),),
    keep_fp32={
        "from_uint8": "uint8 to 0..1 in half precision loses up to an eighth of a grey level",
        "heads": "angles and place are added up over 2048 features and move every vertex",
    },
    smallest=FACE,
    multiple_of=FACE,
)

MID_NET = NetworkSpec(
    name="mid_net",
    relative=True,
    not_int8="in INT8 its offsets move by several per cent of their largest",
    parity=_NORMS,
    inputs=(TensorSpec("maps", "float32", ("N", 6, MID, MID), _ANY),),
    outputs=(TensorSpec("deformation", "float32", ("N", 3, MID, MID), (-1, 1)),),
    keep_fp32={"gain": "the learned gain makes offsets of a thousandth, where half precision has 11 bits at most"},
)

HIGH_NET = NetworkSpec(
    name="high_net",
    relative=True,
    not_int8="in INT8 its displacement moves by more than a per cent of its largest",
    parity=_NORMS,
    inputs=(TensorSpec("maps", "float32", ("N", 9, HIGH, HIGH), _ANY),),
    outputs=(TensorSpec("displacement", "float32", ("N", 1, HIGH, HIGH), (-1, 1)),),
    keep_fp32={"gain": "the learned gain makes offsets of a thousandth, where half precision has 11 bits at most"},
)

DE_RETOUCH = NetworkSpec(
    name="de_retouch",
    relative=True,
    not_int8="what INT8 costs it cannot be judged on drawn faces, which have no blemishes to take off",
    inputs=(TensorSpec("texture", "float32", ("N", 3, TEXTURE, TEXTURE), (-1, 1), "RGB"),),
    outputs=(TensorSpec("layer", "float32", ("N", 3, TEXTURE, TEXTURE), (0, 1), "RGB"),),
)

LANDMARKS = NetworkSpec(
    name="landmarks106",
    relative=True,
    not_int8="in INT8 its points move, and with them the crop and the face, by more than net_recon's limit",
    inputs=(TensorSpec("face", "float32", ("N", 3, FACE, FACE), (-0.5, 0.6), "RGB"),),
    outputs=(TensorSpec("points", "float32", ("N", 212), (0, 1)),),
    keep_fp32={"soft_argmax": "a sum over 196 cells: half precision would move points by a tenth of a pixel"},
)

RETINAFACE = NetworkSpec(
    name="retinaface",
    relative=True,
    not_int8="in INT8 it loses faces and moves their boxes",
    inputs=(TensorSpec("image", "float32", ("N", 3, DETECT, DETECT), (-2.2, 2.7), "RGB"),),
    outputs=(
        TensorSpec("boxes", "float32", ("N", RETINAFACE_ANCHORS, 4), _ANY),
        TensorSpec("scores", "float32", ("N", RETINAFACE_ANCHORS, 2), _ANY),
        TensorSpec("points", "float32", ("N", RETINAFACE_ANCHORS, 10), _ANY),
    ),
)

S3FD = NetworkSpec(
    name="s3fd",
    relative=True,
    not_int8="in INT8 its boxes move, and with them the crop and the face, by more than net_recon's limit",
    inputs=(TensorSpec("image", "float32", ("N", 3, FACE, FACE), (-123, 151), "BGR"),),
    outputs=(
        TensorSpec("boxes", "float32", ("N", S3FD_ANCHORS, 4), _ANY),
        TensorSpec("scores", "float32", ("N", S3FD_ANCHORS, 2), _ANY),
    ),
    keep_fp32=dict.fromkeys(
        ("conv3_3_norm", "conv4_3_norm", "conv5_3_norm"), "squares of features overflow half precision at 256"
    ),
)

FAN = NetworkSpec(
    name="fan",
    relative=True,
    not_int8="in INT8 its points move, and with them the crop and the face, by more than net_recon's limit",
    inputs=(TensorSpec("face", "float32", ("N", 3, 256, 256), (0, 1), "RGB"),),
    outputs=(TensorSpec("heat", "float32", ("N", 68, 64, 64), _ANY),),
)

NETWORKS = (RECON, MID_NET, HIGH_NET, DE_RETOUCH, LANDMARKS, RETINAFACE, S3FD, FAN)
