"""The config.pbtxt of networks and pipelines: what the NetworkSpec and engines.yaml state, in Triton's words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trtkit.config import Batching, Profile, ShapeRange
from trtkit.models.spec import NetworkSpec, TensorSpec
from trtkit.package.pbtxt import Word, text
from trtkit.package.shapes import Share
from trtkit.serve.limits import Limits
from trtkit.serve.names import PIPELINE_INPUT, PIPELINE_OUTPUT
from trtkit.serve.protocol.datatypes import OF_NUMPY, config_type

TENSORRT, ONNXRUNTIME, PYTHON = "tensorrt", "onnxruntime", "python"
"""Triton's backends that a network can run on; the repositories of a package are called by them."""

_INSTANCES = 2
"""Two of a model on a GPU overlap one's copies with the other's run; two pipelines, one's host work with the other's
wait."""


def network(share: Share, spec: NetworkSpec, batching: Batching, backend: str, plans: Mapping[str, str]) -> str:
    """Of one network on `backend`; `plans` maps compute capabilities to the names of their engines (tensorrt alone).

    No default_model_filename: a GPU without an engine of its own fails to load, with a sentence that names the file,
    rather than run another GPU's.
    """
    groups: dict[str, list[dict[str, Any]]] = {
        TENSORRT: [{"kind": Word("KIND_GPU"), "count": _INSTANCES, "profile": [str(share.number)]}],
        PYTHON: [{"kind": Word("KIND_CPU"), "count": 1}],
    }
    message: dict[str, Any] = {
        "name": share.name,
        "backend": backend,
        "max_batch_size": share.max_batch,
        "input": [_tensor(tensor, share) for tensor in spec.inputs],
        "output": [_tensor(tensor, share) for tensor in spec.outputs],
        "cc_model_filenames": [{"key": capability, "value": name} for capability, name in plans.items()] or None,
        "instance_group": groups.get(backend),
        "dynamic_batching": _batching(int(batching.max_delay_ms * 1000)) if share.max_batch else None,
        "model_warmup": _warmup(share, spec),
    }
    return text(message)


def pipeline(name: str, max_batch: int, settings: Mapping[str, Any]) -> str:
    """Of a pipeline in the Python backend: picture files in and out. `settings` are what it reads at its start."""
    files = {"data_type": Word("TYPE_STRING"), "dims": [1]}
    return text(
        {
            "name": name,
            "backend": PYTHON,
            "max_batch_size": max(1, max_batch),
            "input": [{"name": PIPELINE_INPUT, **files}],
            "output": [{"name": PIPELINE_OUTPUT, **files}],
            "instance_group": [{"kind": Word("KIND_CPU"), "count": _INSTANCES}],
            "dynamic_batching": _batching(0),
            "parameters": [{"key": "trtkit", "value": {"string_value": json.dumps(settings, sort_keys=True)}}],
        }
    )


def _tensor(tensor: TensorSpec, share: Share) -> dict[str, Any]:
    axes = tensor.shape[1:] if share.max_batch else tensor.shape
    return {
        "name": tensor.name,
        "data_type": Word(config_type(OF_NUMPY[tensor.dtype])),
        "dims": [axis if isinstance(axis, int) else -1 for axis in axes],
    }


def _batching(delay_us: int) -> dict[str, Any]:
    """The server's own limits: a bounded queue, and a time after which nobody waits any more."""
    limits = Limits(workers=1)
    return {
        "max_queue_delay_microseconds": delay_us or None,
        "default_queue_policy": {
            "timeout_action": Word("REJECT"),
            "default_timeout_microseconds": int(limits.seconds * 1e6),
            "allow_timeout_override": True,
            "max_queue_size": limits.queue,
        },
    }


def _warmup(share: Share, spec: NetworkSpec) -> Sequence[dict[str, Any]] | None:
    """A run at the shape the profile is tuned for, with one picture and with a full batch."""
    if set(share.profile) != {tensor.name for tensor in spec.inputs}:
        return None
    samples = []
    for batch in sorted({min(1, share.max_batch), share.max_batch}):
        inputs = []
        for tensor in spec.inputs:
            tuned = share.profile[tensor.name].opt
            value = {
                "data_type": Word(config_type(OF_NUMPY[tensor.dtype])),
                "dims": tuned[1:] if share.max_batch else tuned,
                "zero_data": True,
            }
            inputs.append({"key": tensor.name, "value": value})
        samples.append({"name": f"batch of {batch}", "batch_size": batch, "inputs": inputs})
    return samples


def as_profiles(plain: Sequence[Mapping[str, Mapping[str, list[int]]]]) -> list[Profile]:
    """The profiles of a manifest as those of engines.yaml."""
    return [{name: ShapeRange.model_validate(ranges) for name, ranges in one.items()} for one in plain]
