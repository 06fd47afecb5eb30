"""DCT-Net's graph in TensorFlow, written from its description alone; runs in an environment that has TensorFlow.

    python tensorflow_cartoon.py freeze GRAPH.pb CHANNELS SEED
    python tensorflow_cartoon.py run GRAPH.pb IN.npz OUT.npz

IN.npz holds uint8 [H, W, 3] BGR pictures by name, OUT.npz what the graph makes of each.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
v1.disable_eager_execution()
v1.disable_resource_variables()


def layer(x, count, kernel, stride=1, act=True, gain=1.0):
    fan = kernel * kernel * int(x.shape[-1])
    w = v1.get_variable(
        "weights",
        [kernel, kernel, int(x.shape[-1]), count],
        initializer=v1.random_normal_initializer(stddev=gain * (2 / fan) ** 0.5),
    )
    b = v1.get_variable("biases", [count], initializer=v1.random_normal_initializer(stddev=0.1))
    x = tf.nn.bias_add(tf.nn.conv2d(x, w, strides=stride, padding="SAME"), b)
    return tf.nn.leaky_relu(x) if act else x


def scoped(name, *arguments, **options):
    with v1.variable_scope(name):
        return layer(*arguments, **options)


def twice(x):
    size = tf.shape(x)
    return v1.image.resize_bilinear(x, (size[1] * 2, size[2] * 2))


def generator(x, width):
    with v1.variable_scope("generator"):
        first = scoped("Conv", x, width, 7)
        x = scoped("Conv_1", first, width, 3, 2)
        second = scoped("Conv_2", x, 2 * width, 3)
        x = scoped("Conv_3", second, 2 * width, 3, 2)
        x = scoped("Conv_4", x, 4 * width, 3)
        for number in range(4):
            with v1.variable_scope(f"block_{number}"):
                x = x + scoped("conv2", scoped("conv1", x, 4 * width, 3), 4 * width, 3, act=False, gain=0.3)
        x = twice(scoped("Conv_5", x, 2 * width, 3)) + second
        x = scoped("Conv_7", scoped("Conv_6", x, 2 * width, 3), width, 3)
        x = twice(x) + first
        return scoped("Conv_9", scoped("Conv_8", x, width, 3), 3, 7, act=False, gain=0.35)


def box(t):
    channels = int(t.shape[-1])
    kernel = tf.constant(np.full((3, 3, channels, 1), 1 / 9, np.float32))
    return tf.nn.depthwise_conv2d(t, kernel, strides=[1, 1, 1, 1], padding="SAME")


def guided_filter(x, y, eps=1e-2):
    size = tf.shape(x)
    n = box(tf.ensure_shape(tf.ones((1, size[1], size[2], 1)), (1, None, None, 1)))
    mx, my = box(x) / n, box(y) / n
    cov = box(x * y) / n - mx * my
    var = box(x * x) / n - mx * mx
    a = cov / (var + eps)
    b = my - a * mx
    return (box(a) / n) * x + box(b) / n


def freeze(path, width, seed):
    v1.set_random_seed(seed)
    image = v1.placeholder(tf.float32, [None, None, 3], name="input_image")
    x = image[None] / 127.5 - 1
    y = guided_filter(x, generator(x, width))[0]
    y = (tf.clip_by_value(y, -0.999999, 0.999999) + 1) * 127.5
    tf.cast(y, tf.uint8, name="output_image")
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        graph = v1.graph_util.convert_variables_to_constants(session, session.graph_def, ["output_image"])
    Path(path).write_bytes(graph.SerializeToString())


def run(path, source, target):
    graph = v1.GraphDef()
    graph.ParseFromString(Path(path).read_bytes())
    tf.import_graph_def(graph, name="")
    with v1.Session() as session, np.load(source) as pictures:
        cartoons = {
            name: session.run("output_image:0", {"input_image:0": picture.astype(np.float32)})
            for name, picture in pictures.items()
        }
    np.savez(target, **cartoons)


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    if verb == "freeze":
        freeze(rest[0], int(rest[1]), int(rest[2]))
    else:
        run(*rest)
