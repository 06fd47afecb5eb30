"""`--precision auto` and the gate of `--precision int8`: INT8 where figures speak for it, FP16 everywhere else.

Explicit Q/DQ can be slower than FP16 (NVIDIA/TensorRT#2905, NVIDIA/Model-Optimizer#80), so it has to have been
measured on the very GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from trtkit.build_engines.select import NoBuilder, choose
from trtkit.calib import judge, measured
from trtkit.calib.standing import int8_form, why_not_int8
from trtkit.calib.target import Target
from trtkit.config import Precision
from trtkit.errors import CheckFailed, Mistake
from trtkit.gpus import local_capabilities


@dataclass(frozen=True)
class Choice:
    """`sentence` says why."""

    precision: Precision
    sentence: str


def best(target: Target, gpu_name: str, builder: str) -> Choice:
    """INT8 if it is within its tolerance and was measured faster than FP16 on this GPU, else FP16.

    Measured means: by `trtkit evaluate` on a GPU of that capability that is in this machine, on the backend that what
    is built will run on, with the INT8 form that stands now.
    """
    gpu = target.config.gpu(gpu_name)
    what = f"{target.name} for {gpu_name}"
    if (why := why_not_int8(target)) is not None:
        return Choice("fp16", f"{what}: FP16; {why}")
    if gpu.compute_capability not in local_capabilities():
        return Choice("fp16", f"{what}: FP16; INT8 was not measured, since that GPU is not in this machine")
    try:
        form = int8_form(target)
    except Mistake as error:
        return Choice("fp16", f"{what}: FP16; {error}")
    chosen = choose(builder, gpu_name, gpu, target.root)
    backend = "cuda" if isinstance(chosen, NoBuilder) else chosen.name
    record = _measured(target, gpu.compute_capability, backend, form.came_out.sha256)
    if record is None or record.int8_over_fp16 is None:
        command = f"trtkit evaluate {target.model.called} --precision fp16,int8 --backend {backend} --images DIR"
        return Choice("fp16", f"{what}: FP16; INT8 was not measured on {backend} here; do that with: {command}")
    excesses = judge.excesses(record.forms["int8"].figures, target.settings, target.spec)
    if excesses:
        return Choice("fp16", f"{what}: FP16; INT8 has {'; '.join(excesses)}")
    speed = record.int8_over_fp16.median
    if speed <= 1:
        return Choice("fp16", f"{what}: FP16; INT8 ran {speed:.2f} x as fast on {record.device}")
    return Choice("int8", f"{what}: INT8, which ran {speed:.2f} x as fast as FP16 on {record.device}")


def _measured(target: Target, capability: str, backend: str, onnx_sha256: str) -> measured.Record | None:
    for record in reversed(measured.read(target.evaluation)):
        form = record.forms.get("int8")
        if (record.backend, record.capability) == (backend, capability) and form and form.onnx_sha256 == onnx_sha256:
            return record
    return None


def enforce_tolerance(target: Target, accept_loss: bool) -> None:
    """Raise CheckFailed if the INT8 form is past its tolerance and the loss is not accepted.

    The figures are those of `trtkit evaluate` where it has judged this form, else of the calibration's own check.
    """
    form = int8_form(target)
    evaluated = measured.figures_of(target.evaluation, form.came_out.sha256)
    figures = evaluated or form.came_out.checks["against_fp32"]
    excesses = judge.excesses(figures, target.settings, target.spec)
    if excesses and not accept_loss:
        raise CheckFailed(
            f"{target.name} in INT8 has {'; '.join(excesses)}, as engines.yaml says; leave its dearest layers in FP16 "
            f"with: {target.calibrate_command} --keep-fp16 2, or build it all the same with --accept-loss"
        )
