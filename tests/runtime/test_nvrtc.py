"""NVIDIA's own compiler takes the generated kernels, for every compute capability of engines.yaml it still knows.

It needs no GPU. It is large, so it lies in an environment of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.foreign_environment import interpreter
from trtkit import config
from trtkit.runtime.copy_kernel import SOURCE
from trtkit.runtime.fused.network import read
from trtkit.runtime.fused.program import program_text
from trtkit.runtime.fused.schedule import KernelStep, schedule
from trtkit.runtime.fused.source import kernels_of

from .fused.networks import guided, planar, two_levels

ROOT = Path(__file__).parent.parent.parent
COMPILE = """
import json, sys
from trtkit.runtime.nvrtc import compiled
answers = []
for source, capability in json.load(sys.stdin):
    try:
        answers.append(len(compiled(source, capability)))
    except Exception as error:
        answers.append(f"{type(error).__name__}: {error}")
print(json.dumps(answers))
"""


def compiled(jobs: list[tuple[str, str]]) -> list[int | str]:
    """Bytes of each cubin, or what was said."""
    done = subprocess.run(
        [interpreter("nvrtc"), "-c", COMPILE],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    answers: list[int | str] = json.loads(done.stdout)
    return answers


def test_the_kernels_compile_for_every_gpu():
    bodies = {
        kernel.body: None
        for model in (two_levels(), two_levels(widths=(5, 7)), guided(), planar())
        for step in schedule(read(model)).steps
        if isinstance(step, KernelStep)
        for kernel in kernels_of(step)
    }
    text = program_text({body: f"kernel{number}" for number, body in enumerate(bodies)})
    capabilities = {gpu.compute_capability for gpu in config.load().gpus.values()} - {"7.0"}  # left with CUDA 13
    jobs = [(source, capability) for source in (text, SOURCE) for capability in sorted(capabilities)]
    for job, answer in zip(jobs, compiled(jobs), strict=True):
        assert isinstance(answer, int), (job[1], answer)
        assert answer > 1000


@pytest.mark.parametrize(
    ("source", "capability", "said"),
    [
        ("foo", "9.0", "CheckFailed: NVRTC does not compile the kernels: trtkit.cu(1): error"),
        ("", "3.5", "does not know compute capability 3.5; install a newer one with: pip install -U nvidia-cuda-nvrtc"),
    ],
)
def test_what_is_not_compiled_is_a_sentence(source, capability, said):
    (answer,) = compiled([(source, capability)])
    assert said in str(answer)
