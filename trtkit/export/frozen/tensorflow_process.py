"""Everything that needs TensorFlow, as a script of its own: run by another process, and possibly another Python.

It reads jobs from stdin, each a line of JSON, and answers each with a line of JSON on stdout:

    ["convert", "GRAPH.pb", "OUT.onnx", ["INPUT", …], ["OUTPUT", …]]
    ["run", "GRAPH.pb", "IN.npz", "OUT.npz", ["OUTPUT", …], ["INPUT=VALUE", …]]

INPUT=VALUE fixes a placeholder for good (training_flag=false). It imports nothing of trtkit, so that an interpreter
that has TensorFlow and tf2onnx is all it needs. Tensors are named as in the graph, without the ':0'. What went wrong is
one line on stderr after 'trtkit: ', with exit code 2.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # TensorFlow would take the whole GPU for a conversion

OPSET = 18
"""The newest that tf2onnx writes."""


def fail(sentence: str) -> None:
    print(f"trtkit: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def read(path: str) -> Any:
    """The GraphDef in `path`."""
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef()
    try:
        with open(path, "rb") as stream:
            graph.ParseFromString(stream.read())
    except Exception as error:
        fail(f"{path} is not a whole frozen graph ({' '.join(str(error).split())[:120]})")
    if not graph.node:
        fail(f"{path} holds no nodes, so it is not a frozen graph")
    return graph


def check_names(graph: Any, path: str, inputs: list[str], outputs: list[str]) -> None:
    nodes = {node.name: node for node in graph.node}
    placeholders = [node.name for node in graph.node if node.op.startswith("Placeholder")]
    for name in inputs:
        if name not in nodes:
            fail(f"{path} has no node '{name}' for --input; its placeholders: {', '.join(placeholders) or 'none'}")
    used = {edge.lstrip("^").partition(":")[0] for node in graph.node for edge in node.input}
    ends = [node.name for node in graph.node if node.name not in used]
    for name in outputs:
        if name not in nodes:
            fail(f"{path} has no node '{name}' for --output; nodes that nothing reads: {', '.join(ends[:12])}")


def convert(path: str, target: str, inputs: list[str], outputs: list[str]) -> dict[str, str]:
    """Versions of what converted."""
    import tensorflow as tf
    import tf2onnx

    graph = read(path)
    inputs = fix(graph, path, inputs)
    check_names(graph, path, inputs, outputs)
    hash_by_number(tf2onnx.graph.Node)
    try:
        model, _ = tf2onnx.convert.from_graph_def(
            graph,
            input_names=[f"{name}:0" for name in inputs],
            output_names=[f"{name}:0" for name in outputs],
            opset=OPSET,
            # ONNX's own would round elsewhere than TensorFlow does; trtkit runs it itself.
            custom_ops={"CropAndResize": "trtkit"},
        )
    except Exception as error:
        fail(f"{path} cannot be converted by tf2onnx {tf2onnx.__version__}: {' '.join(str(error).split())[:300]}")
    with open(target, "wb") as stream:
        stream.write(model.SerializeToString())
    return {"tensorflow": tf.__version__, "tf2onnx": tf2onnx.__version__}


def hash_by_number(kind: Any) -> None:
    """Objects of `kind` hash as they were made, one after the other, and no longer by where they lie in memory.

    tf2onnx's optimizers walk over sets of nodes: which transposes meet, and which of two equal constants stays, was
    another thing in each process.
    """
    made, number = kind.__init__, itertools.count()

    def init(self: Any, *given: Any, **named: Any) -> None:
        self.made_as = next(number)
        made(self, *given, **named)

    kind.__init__, kind.__hash__ = init, lambda self: self.made_as


def run(path: str, source: str, target: str, outputs: list[str], fixed: list[str]) -> None:
    """IN.npz holds INPUT/NUMBER arrays: one run a number, on the inputs of that number; OUT.npz OUTPUT/NUMBER."""
    import numpy as np
    import tensorflow as tf

    frozen = read(path)
    fix(frozen, path, fixed)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(frozen, name="")
    runs: dict[str, dict[str, Any]] = {}
    with np.load(source) as arrays:
        for key in arrays.files:
            name, _, number = key.rpartition("/")
            runs.setdefault(number, {})[f"{name}:0"] = arrays[key]
    answers: dict[str, Any] = {}
    with tf.compat.v1.Session(graph=graph) as session:
        for number, feed in runs.items():
            values = session.run([f"{name}:0" for name in outputs], feed)
            answers |= {f"{name}/{number}": value for name, value in zip(outputs, values, strict=True)}
    np.savez(target, **answers)


def fix(graph: Any, path: str, inputs: list[str]) -> list[str]:
    """Placeholders named as NAME=VALUE become constants of the graph; the other names are given back."""
    import numpy as np
    import tensorflow as tf

    free = []
    for entry in inputs:
        name, equals, text = entry.partition("=")
        if not equals:
            free.append(entry)
            continue
        check_names(graph, path, [name], [])
        node = next(one for one in graph.node if one.name == name)
        dtype = tf.dtypes.as_dtype(node.attr["dtype"].type).as_numpy_dtype
        try:
            value = np.asarray(json.loads(text.lower())).astype(dtype)
        except ValueError:
            fail(f"--input {entry}: '{text}' is not a number, true or false")
        node.op = "Const"
        node.attr.clear()
        del node.input[:]
        node.attr["dtype"].type = tf.dtypes.as_dtype(dtype).as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return free


if __name__ == "__main__":
    # What TensorFlow or tf2onnx prints is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    jobs: dict[str, Callable[..., Any]] = {"convert": convert, "run": run}
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        print(json.dumps(jobs[verb](*arguments)), file=answers, flush=True)
