"""Writes small frozen graphs with random weights; runs in an environment that has TensorFlow.

    python write_graph.py PHOTO.npy '{"GRAPH.pb": {"structure": "A", "leaky": "maximum", …}, …}'

Three structures of matting, taking `input_image` float32 [H, W, 3] RGB 0..255, giving `output_png` uint8 [H, W, 4]:

A  the whole picture at a coarse size → a U-Net → its mask with the picture at a fine size → a U-Net → alpha
C  A, and a gate `if_person` that zeroes the alpha
B  a small net finds where and whether → if so: crop, coarse and fine U-Net, paste back; else zeros

The gate's threshold lies between what the photograph and its darkness score, so that one opens and the other does not.
`points` and `mask` are other kinds of graph, with a fixed picture size: a flag beside the picture and 8 numbers out; a
face's mask in floats.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
v1.disable_v2_behavior()  # and with it control flow v2: a cond is Switch and Merge

COARSE, FINE, DETECT, CROP = (48, 40), (96, 80), (48, 48), (64, 64)


class Writer:
    """`scaled`: kernels are a constant times a constant, as networks with equalised learning rates are frozen."""

    def __init__(
        self,
        structure: str,
        leaky: str = "maximum",
        norm: bool = True,
        resize: str = "legacy",
        scaled: bool = False,
        seed: int = 0,
    ) -> None:
        self.structure, self.leaky, self.norm, self.convention, self.scaled = structure, leaky, norm, resize, scaled
        self.random = np.random.default_rng(seed)

    def constant(self, values: np.ndarray, name: str) -> tf.Tensor:
        """A frozen variable: a constant behind its read."""
        return tf.identity(tf.constant(values.astype(np.float32), name=name), name=f"{name}/read")

    def conv(self, x: tf.Tensor, channels: int, name: str, stride: int = 1, linear: bool = False) -> tf.Tensor:
        before = int(x.shape[-1])
        with tf.name_scope(name):
            kernel = self.random.normal(0, (1.6 / (9 * before)) ** 0.5, (3, 3, before, channels))
            weights = self.constant(kernel * 4, "weights") * 0.25 if self.scaled else self.constant(kernel, "weights")
            x = v1.nn.conv2d(x, weights, strides=[1, stride, stride, 1], padding="SAME")
            x = tf.nn.bias_add(x, self.constant(self.random.normal(0, 0.1, channels), "biases"))
            if linear:
                return x
            if self.norm:
                statistics = [self.random.uniform(0.8, 1.2, channels), self.random.normal(0, 0.1, channels)]
                statistics += [self.random.normal(0, 0.1, channels), self.random.uniform(0.5, 1.5, channels)]
                scale, offset, mean, variance = (
                    self.constant(values, label)
                    for values, label in zip(statistics, ("gamma", "beta", "mean", "variance"), strict=True)
                )
                x, _, _ = v1.nn.fused_batch_norm(x, scale, offset, mean, variance, is_training=False)
            return tf.maximum(x, 0.2 * x) if self.leaky == "maximum" else tf.nn.leaky_relu(x, 0.2)

    def resize(self, x: tf.Tensor, size: Any) -> tf.Tensor:
        return v1.image.resize_bilinear(
            x, size, align_corners=self.convention == "align", half_pixel_centers=self.convention == "half_pixel"
        )

    def unet(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Two levels down and up with skips; tanh."""
        with tf.name_scope(name):
            full = self.conv(x, 8, "enter")
            half = self.conv(full, 12, "down1", stride=2)
            quarter = self.conv(half, 16, "down2", stride=2)
            up = self.resize(quarter, [int(s) for s in half.shape[1:3]])
            up = self.conv(tf.concat([half, up], 3), 12, "up1")
            up = self.resize(up, [int(s) for s in full.shape[1:3]])
            up = self.conv(tf.concat([full, up], 3), 8, "up2")
            return tf.tanh(self.conv(up, 1, "leave", linear=True))

    def two_nets(self, picture: tf.Tensor, coarse: tuple[int, int], fine: tuple[int, int]) -> tuple[Any, Any]:
        """[1, h, w, 3] in 0..255 → coarse mask and fine matte, both 0..1."""
        mask = (self.unet(self.resize(picture, coarse) / 127.5 - 1.0, "coarse") + 1.0) / 2.0
        sharp = self.resize(picture, fine) / 127.5 - 1.0
        fine_in = tf.concat([sharp, self.resize(mask, fine)], 3)
        return mask, tf.square((self.unet(fine_in, "refine") + 1.0) / 2.0)


def build(graph: tf.Graph, options: dict[str, Any], threshold: float) -> None:
    structure, write = options["structure"], Writer(**options)
    with graph.as_default():
        if structure == "points":
            points(write)
            return
        if structure == "mask":
            face_mask(write)
            return
        image = v1.placeholder(tf.float32, [None, None, 3], name="input_image")
        size = tf.shape(image)[:2]
        picture = tf.expand_dims(image, 0)
        if structure == "B":
            alpha = found_and_cut(write, picture, size, threshold)
        else:
            mask, matte = write.two_nets(picture, COARSE, FINE)
            alpha = write.resize(matte, size)[0] * 255.0
            if structure == "C":
                score = tf.reduce_mean(mask, name="score")
                person = tf.greater(score, threshold, name="if_person")
                alpha = alpha * tf.cast(person, tf.float32)
        alpha = tf.clip_by_value(alpha, 0.0, 255.0)
        tf.cast(tf.concat([image, alpha], 2), tf.uint8, name="output_png")


def found_and_cut(write: Writer, picture: tf.Tensor, size: tf.Tensor, threshold: float) -> tf.Tensor:
    heat = write.unet(write.resize(picture, DETECT) / 127.5 - 1.0, "detect")
    score = tf.reduce_mean(heat, name="score")
    person = tf.greater(score, threshold, name="if_person")
    best = tf.argmax(tf.reshape(heat, [-1]), output_type=tf.int32)
    centre = tf.cast(tf.stack([best // DETECT[1], best % DETECT[1]]), tf.float32) / tf.constant(DETECT, tf.float32)
    sides = tf.cast(size, tf.float32)
    low = tf.cast(tf.maximum(centre - 0.4, 0.0) * sides, tf.int32)
    high = tf.cast(tf.minimum(centre + 0.4, 1.0) * sides, tf.int32)

    def cut() -> tf.Tensor:
        box = tf.concat([tf.cast(low, tf.float32), tf.cast(high - 1, tf.float32)], 0) / tf.tile(sides - 1.0, [2])
        crop = v1.image.crop_and_resize(picture, tf.expand_dims(box, 0), tf.zeros([1], tf.int32), CROP)
        _, matte = write.two_nets(crop, (CROP[0] // 2, CROP[1] // 2), CROP)
        pasted = write.resize(matte, high - low)[0] * 255.0
        return tf.pad(
            pasted, tf.stack([tf.stack([low[0], size[0] - high[0]]), tf.stack([low[1], size[1] - high[1]]), [0, 0]])
        )

    def nothing() -> tf.Tensor:
        return tf.zeros(tf.concat([size, [1]], 0))

    alpha = v1.cond(person, cut, nothing)
    alpha.set_shape([None, None, 1])
    return alpha


def points(write: Writer) -> None:
    picture = v1.placeholder(tf.float32, [1, 64, 64, 3], name="tower_0/images")
    training = v1.placeholder(tf.bool, [], name="training_flag")
    x = v1.where(training, picture * 0.5, picture) / 127.5 - 1.0
    x = write.conv(write.conv(x, 8, "first", stride=2), 16, "second", stride=2)
    x = tf.reduce_mean(x, axis=[1, 2])
    head = write.constant(write.random.normal(0, 0.5, (16, 8)), "head/weights")
    tf.sigmoid(tf.matmul(x, head), name="tower_0/prediction")


def face_mask(write: Writer) -> None:
    """As the face mask of HRN: `input_image` [224, 224, 3], `output_alpha` [224, 224] in 0..255. Of a size of its own
    whose ratio to 224 no float32 holds."""
    image = v1.placeholder(tf.float32, [224, 224, 3], name="input_image")
    _, matte = write.two_nets(tf.expand_dims(image, 0), (56, 56), (80, 80))
    tf.multiply(write.resize(matte, [224, 224])[0, :, :, 0], 255.0, name="output_alpha")


def write_one(path: str, options: dict[str, Any], photograph: np.ndarray) -> None:
    threshold = 0.0
    if options["structure"] in "BC":
        graph = tf.Graph()
        build(graph, options, 0.0)
        with v1.Session(graph=graph) as session:
            bright, dark = (session.run("score:0", {"input_image:0": p}) for p in (photograph, photograph * 0))
        threshold = float((bright + dark) / 2)
        if bright < dark:
            raise SystemExit(f"{path} needs another seed: the photograph must score above its darkness")
    graph = tf.Graph()
    build(graph, options, threshold)
    with open(path, "wb") as stream:
        stream.write(graph.as_graph_def().SerializeToString())


if __name__ == "__main__":
    photo = np.load(sys.argv[1]).astype(np.float32)
    for target, wanted in json.loads(sys.argv[2]).items():
        write_one(target, wanted, photo)
