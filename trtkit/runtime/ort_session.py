"""ONNX Runtime's sessions on the CUDA provider, on the device's own stream, and what their failures mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnx import ModelProto

from trtkit.errors import CheckFailed, MissingComponent
from trtkit.optional import need
from trtkit.runtime.cuda_api import OutOfMemory
from trtkit.runtime.gpu import Place
from trtkit.runtime.ort_file import model_of

PROVIDER = "CUDAExecutionProvider"
_ERRORS = 3
"""ONNX Runtime's log severity."""
_OUT_OF_MEMORY = ("Failed to allocate memory", "out of memory", "ALLOC_FAILED", "smaller than requested bytes")


class Sessions:
    """Opens sessions for `place` and runs them there. `provider_options` go to the CUDA provider as they are."""

    def __init__(self, place: Place, what: str, provider_options: Mapping[str, str] | None = None) -> None:
        self._ort = need("onnxruntime", "running a network on the GPU through ONNX Runtime")
        self.library = f"ONNX Runtime {self._ort.__version__}"
        self._place, self._what = place, what
        self._more = dict(provider_options or {})
        self._run_options = self._ort.RunOptions()
        self._run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def open(self, content: Path | bytes, channels_last: bool = True, without: tuple[str, ...] = ()) -> Any:
        """An InferenceSession. `without`: optimizers that must not run.

        Raises CheckFailed if ONNX Runtime refuses the model, MissingComponent if the provider does not start,
        OutOfMemory.
        """
        ort, place = self._ort, self._place
        options = {
            "device_id": str(place.ordinal),
            "user_compute_stream": str(place.cuda.handle(place.stream)),
            # Grow by what is asked for: the default doubles, and the card is shared.
            "arena_extend_strategy": "kSameAsRequested",
            "prefer_nhwc": "1" if channels_last else "0",
            # cuDNN's own first choice is 3 to 5 % quicker on an H200 than the default's, which measures nothing either.
            # fuse_conv_bias must stay off: what it compiles for one shape it unloads at the next one, and a graph that
            # was captured with it then runs freed code (docs/benchmarks.md).
            "cudnn_conv_algo_search": "HEURISTIC",
            **self._more,
        }
        ort.set_default_logger_severity(_ERRORS)  # or it warns about plugins at every session
        settings = ort.SessionOptions()
        settings.log_severity_level = _ERRORS  # warnings speak of nodes the user did not write
        # The CPU has a few sizes to work out, no more; a pool's threads would spin, and outlive a fork badly.
        settings.intra_op_num_threads = 1
        # A pattern is planned in the first run and allocated in the second, beside what the first left.
        settings.enable_mem_pattern = False
        try:
            session = ort.InferenceSession(
                model_of(content),
                settings,
                providers=[(PROVIDER, options), "CPUExecutionProvider"],
                disabled_optimizers=without,
            )
        except Exception as error:
            if _is_out_of_memory(error):
                raise OutOfMemory(str(error)) from error
            raise CheckFailed(
                f"{self._what} does not load in ONNX Runtime's CUDA provider: {' '.join(str(error).split())}"
            ) from error
        if PROVIDER not in session.get_providers():
            # ONNX Runtime falls back to the CPU in silence (rembg#600, #632, #661).
            raise MissingComponent(
                "ONNX Runtime's CUDA provider does not start here, mostly because cuDNN or a CUDA library of its "
                "version is missing; install them with: pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        return session

    def run(self, session: Any, binding: Any) -> None:
        """Queue one run on the compute stream. Raises OutOfMemory, or ONNX Runtime's own types for all else, which are
        private to its extension module."""
        try:
            session.run_with_iobinding(binding, self._run_options)
        except Exception as error:
            if _is_out_of_memory(error):
                raise OutOfMemory(str(error)) from error
            raise


def fixed_kernels(model: ModelProto) -> bool:
    """Every convolution's kernel is a constant. ONNX Runtime 1.31 gives its convolution for channels last a kernel that
    is computed, as behind a DequantizeLinear, in the wrong layout ("C: 16 kernel channels: 3")."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    return all(node.input[1] in fixed for node in model.graph.node if node.op_type == "Conv")


def provider_missing() -> str | None:
    """Why ONNX Runtime here has no CUDA provider, with the mending command; None if it has one."""
    try:
        ort = need("onnxruntime", "the cuda backend")
    except MissingComponent:
        return "ONNX Runtime for GPUs is not installed (pip install 'trtkit[cuda]')"
    if PROVIDER in ort.get_available_providers():
        return None
    return (
        f"onnxruntime {ort.__version__} here is the CPU build "
        "(pip uninstall -y onnxruntime && pip install 'trtkit[cuda]')"
    )


def _is_out_of_memory(error: Exception) -> bool:
    return any(phrase in str(error) for phrase in _OUT_OF_MEMORY)
