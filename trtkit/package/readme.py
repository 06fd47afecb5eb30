"""The README of a package: what is in it, how a Triton serves it, and what nobody has run yet."""

from __future__ import annotations

from collections.abc import Sequence

import trtkit
from trtkit.artifacts import sm
from trtkit.models.spec import Model
from trtkit.package import configs
from trtkit.package.sources import Sources
from trtkit.serve.limits import Limits
from trtkit.serve.names import PIPELINE_FORMAT, PIPELINE_INPUT, PIPELINE_OUTPUT, network_name

SUPPORT_MATRIX = "https://docs.nvidia.com/deeplearning/frameworks/support-matrix/index.html"
"""NVIDIA's table of which container of which month carries which TensorRT."""

OLDEST = "25.01"
"""The first container line whose Python (3.12) runs trtkit and whose Python backend takes NumPy 2 (python_backend
#384); its ONNX Runtime 1.20 reads IR version 10 and opset 20."""

_IMAGE = "nvcr.io/nvidia/tritonserver:YY.MM-py3"

_ABOUT = {
    configs.TENSORRT: "engines for GPUs of compute capability {engines}; on any other GPU it does not load, by intent. "
    "A `…_profileN` model runs another range of sizes of the same engine; pipelines choose by themselves",
    configs.ONNXRUNTIME: "the ONNX files on ONNX Runtime: GPUs that have no engine, and CPUs",
    configs.PYTHON: "the ONNX files in Triton's Python backend, on the CPU, for a Triton that has no other backend; "
    "its Python needs `trtkit[cpu]`",
}


def readme(
    models: Sequence[Model],
    backends: Sequence[str],
    capabilities: Sequence[str],
    tensorrt: str | None,
    found: Sequence[Sources],
) -> str:
    parts = [_head(models, found), _repositories(backends, capabilities), _container(tensorrt), _start(backends)]
    pictures = [model for model in models if not model.several_files]
    if pictures:
        parts.append(_client(pictures[0]))
    return "\n".join([*parts, _limits(), _tried()])


def _head(models: Sequence[Model], found: Sequence[Sources]) -> str:
    rows = "".join(
        f"| `{model.folder}` | {model.title}: `{PIPELINE_INPUT}` BYTES [N, 1], picture files in; "
        f"`{PIPELINE_OUTPUT}` BYTES [N, 1], picture files out |\n"
        for model in models
        if not model.several_files
    )
    for source in found:
        tensors = "; ".join(
            f"`{tensor.name}` {tensor.dtype} [{', '.join(map(str, tensor.shape))}]"
            for tensor in (*source.spec.inputs, *source.spec.outputs)
        )
        rows += f"| `{network_name(source.model.folder, source.spec.name)}` | the network alone: {tensors} |\n"
    return (
        f"# Triton model repositories of {', '.join(model.folder for model in models)}\n\n"
        f"Written by `trtkit package triton` (trtkit {trtkit.__version__}). `package.json` has every file's sha256.\n\n"
        f"| model | what it takes and gives |\n| --- | --- |\n{rows}"
    )


def _repositories(backends: Sequence[str], capabilities: Sequence[str]) -> str:
    engines = ", ".join(f"{capability} ({sm(capability)})" for capability in capabilities)
    rows = "".join(f"| `{backend}/` | {_ABOUT[backend].format(engines=engines)} |\n" for backend in backends)
    return (
        "## Which repository\n\n"
        "Each folder is a whole repository with the same models under the same names. A Triton serves one of them;\n"
        "`nvidia-smi --query-gpu=compute_cap --format=csv,noheader` says which compute capability a machine has.\n\n"
        f"| folder | for |\n| --- | --- |\n{rows}"
    )


def _container(tensorrt: str | None) -> str:
    if tensorrt is None:
        return f"## Which container\n\n`{_IMAGE}`, {OLDEST} or later; no engine here asks for a certain TensorRT.\n"
    return f"""## Which container

**The engines were built with TensorRT {tensorrt}, and only a Triton with that very version loads them.** The
container is `{_IMAGE}` of the month whose TensorRT is {tensorrt} in
[NVIDIA's support matrix]({SUPPORT_MATRIX})
({OLDEST} or later, for the pipelines). What a tag really holds, it says itself:

```sh
docker run --rm {_IMAGE} sh -c 'echo $TRT_VERSION; ls /usr/lib/*-linux-gnu/libnvinfer.so.*'
```

If no month has it, build the engines in `nvcr.io/nvidia/tensorrt:YY.MM-py3` of the month you want to serve from, on the
GPU itself (`trtkit build --builder tensorrt`), and package again.
"""


def _start(backends: Sequence[str]) -> str:
    extra = "[cpu]" if configs.PYTHON in backends else ""
    return f"""## Start

The pipelines are trtkit's own code, so Triton's Python needs trtkit (not torch, not TensorRT):

```dockerfile
FROM {_IMAGE}
RUN pip install 'trtkit{extra}=={trtkit.__version__}'
```

```sh
docker run --rm --gpus all --shm-size 1g -p 8000:8000 -p 8002:8002 -v "$PWD":/models:ro IMAGE \\
  tritonserver --model-repository=/models/{backends[0]}
```
"""


def _client(model: Model) -> str:
    options = ", ".join(f"`{option.name}`" for option in model.served)
    return f"""## Call

```python
import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient("localhost:8000")
picture = triton.InferInput("{PIPELINE_INPUT}", [1, 1], "BYTES")
picture.set_data_from_numpy(np.array([[open("photo.jpg", "rb").read()]], object))
answer = client.infer("{model.folder}", [picture], parameters={{"{PIPELINE_FORMAT}": "png"}})
open("result.png", "wb").write(answer.as_numpy("{PIPELINE_OUTPUT}")[0, 0])
```

Request parameters are the pipeline's options ({options}) and `{PIPELINE_FORMAT}` (png, webp, jpeg). `trtkit serve`
answers the same calls under the same names.
"""


def _limits() -> str:
    limits = Limits()
    return f"""## Limits

Each model queues at most {limits.queue} requests and drops what has waited longer than {limits.seconds:g} s; a picture
may have {limits.megapixels:g} megapixels. The largest batch and its delay are those of `batching:` in engines.yaml.
Triton waits that delay for a lone client too, which `trtkit serve` does not: where one client matters most, set
`max_queue_delay_microseconds` to 0. Triton has neither keys nor TLS of its own: put it behind something that has.
"""


def _tried() -> str:
    return """## What has been run

trtkit's tests load `python/` in a real tritonserver 2.51, on a CPU, and get a cut-out from it, and read every
config.pbtxt with Triton's own message definition. `tensorrt/` and `onnxruntime/` are made by the same code; no Triton
with those backends has loaded them yet, and the image above has not been built.
"""
