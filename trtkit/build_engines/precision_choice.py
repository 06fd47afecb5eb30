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
    where = (backend, gpu.compute_capability)
    found = measured.verdict(target.evaluation, where, {"int8": form.came_out.sha256}, target.settings, target.spec)
    if found is None:
        command = measured.command(target.model.called, backend, target.root)
        return Choice("fp16", f"{what}: FP16; INT8 was not measured on {backend} here; do that with: {command}")
    if found.precision == "fp16":
        return Choice("fp16", f"{what}: FP16; {found.why}")
    return Choice("int8", f"{what}: INT8, which {found.why}")


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
            f"with: {target.keep_more_command}, or build it all the same with --accept-loss"
        )
