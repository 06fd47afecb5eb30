"""Stand-ins for the official face graphs, by their documented interface; runs in an environment that has TensorFlow.

    python tensorflow_faces.py DETECTOR.pb KEYPOINTS.pb

The detector takes blue for a face: in each half of its square the box around what is blue, both sure, and a third one
that is not. The landmarks are those of a plain face, moved a little by how bright the crop is.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
v1.disable_v2_behavior()

SIDE, CROP = 512, 160


def conv(x, kernel, name):
    with tf.name_scope(name):
        weights = tf.identity(tf.constant(kernel, tf.float32, name="weights"), name="weights/read")
        return v1.nn.conv2d(x, weights, strides=[1, 1, 1, 1], padding="SAME")


def inputs(side):
    images = v1.placeholder(tf.float32, [None, side, side, 3], name="tower_0/images")
    training = v1.placeholder(tf.bool, [], name="training_flag")
    return v1.where(training, images * 0.5, images) / 255.0


def detector():
    blue = tf.nn.relu(conv(inputs(SIDE), np.array([-1.0, -1.0, 2.0]).reshape(1, 1, 3, 1), "blue"))
    smooth = conv(blue, np.full((3, 3, 1, 1), 1 / 9), "smooth")
    found = tf.cast(smooth[0, :, :, 0] > 1.0, tf.float32)
    places = tf.range(SIDE, dtype=tf.float32)
    boxes, scores = [], []
    for half in (slice(0, SIDE // 2), slice(SIDE // 2, SIDE)):
        here = found * tf.constant([float(half.start <= x < half.stop) for x in range(SIDE)])
        corners = []
        for axis in (1, 0):
            any_of = tf.reduce_max(here, axis=axis)
            corners.append((tf.reduce_min(places + 9999.0 * (1 - any_of)), tf.reduce_max((places + 1) * any_of)))
        (top, bottom), (left, right) = corners
        seen = tf.reduce_max(here)
        boxes.append(tf.stack([top, left, bottom, right]) / SIDE * seen)
        scores.append(seen * 0.95)
    boxes.append(tf.constant([0.0, 0.0, 1.0, 1.0]))
    scores.append(tf.constant(0.3))
    tf.expand_dims(tf.stack(boxes), 0, name="tower_0/boxes")
    tf.expand_dims(tf.stack(scores), 0, name="tower_0/scores")
    tf.identity(tf.constant([3], tf.int32), name="tower_0/num_detections")


def face():
    points = np.full((68, 2), 0.5)
    ring = np.array([(-0.06, 0), (-0.03, -0.03), (0.03, -0.03), (0.06, 0), (0.03, 0.03), (-0.03, 0.03)])
    points[36:42], points[42:48] = ring + np.array([0.36, 0.42]), ring + np.array([0.64, 0.42])
    points[30], points[48], points[54] = (0.5, 0.58), (0.4, 0.72), (0.6, 0.72)
    return points


def keypoints():
    dice = np.random.default_rng(4)
    x = tf.nn.relu(conv(inputs(CROP), dice.normal(0, 0.3, (3, 3, 3, 8)), "first"))
    x = tf.reduce_mean(tf.nn.relu(conv(x, dice.normal(0, 0.2, (3, 3, 8, 8)), "second")), axis=[1, 2])
    moved = 0.03 * tf.tanh(tf.matmul(x, tf.constant(dice.normal(0, 1, (8, 2)), tf.float32)))
    points = tf.constant(face().reshape(1, 136), tf.float32) + tf.tile(moved, [1, 68])
    tf.concat([points, tf.zeros_like(points[:, :11])], 1, name="tower_0/prediction")


def main(arguments):
    for path, build in zip(arguments, (detector, keypoints), strict=True):
        graph = tf.Graph()
        with graph.as_default():
            build()
        with open(path, "wb") as stream:
            stream.write(graph.as_graph_def().SerializeToString())


if __name__ == "__main__":
    main(sys.argv[1:])
