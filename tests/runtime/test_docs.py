"""What docs/runtime.md says in figures is what the code has."""

from pathlib import Path

import pytest

from trtkit.runtime import gpu, ort_cuda, trt_engine

PAGE = " ".join((Path(__file__).parent.parent.parent / "docs" / "runtime.md").read_text().split())


@pytest.mark.parametrize(
    "said",
    [
        f"A slot keeps {trt_engine.MOST_CONTEXTS} sets of shapes with TensorRT and {ort_cuda.MOST_SHAPES} with ONNX",
        f"for runs of more than {gpu._LONG * 1e3:g} ms he sleeps for the first {gpu._DOZE:.0%}".replace("%", " %"),
    ],
)
def test_the_page_says_what_the_code_has(said):
    assert said in PAGE
