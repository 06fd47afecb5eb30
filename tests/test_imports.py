"""Every module imports with none of the extras, and what must stay light stays light."""

import pkgutil
import subprocess
import sys
import textwrap

import pytest

import trtkit
from trtkit.errors import MissingComponent
from trtkit.optional import need

EXTRAS = ("onnxruntime", "pycuda", "cuda", "tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings", "torch", "skimage")
EXTRAS += ("safetensors", "onnxscript", "tensorboardX", "tensorflow", "tf2onnx", "modelscope_hub", "matplotlib")
EXTRAS += ("scipy", "trimesh")
NEEDS_TORCH = {"network", "source", "image_edge", "fold"}
"""Modules that define torch networks: they import torch at the top, and only torch's users import them."""
TORCH_PACKAGES = ("trtkit.models.hrn.networks.",)
"""The same for whole folders of them."""


def _modules() -> list[str]:
    return [
        module.name
        for module in pkgutil.walk_packages(trtkit.__path__, "trtkit.")
        if module.name.rpartition(".")[2] not in NEEDS_TORCH
        and not module.name.startswith(TORCH_PACKAGES)
        and not module.name.endswith("__main__")
    ]


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)


def test_every_module_imports_with_none_of_the_extras():
    done = _run(f"""
        import importlib, sys
        for name in {EXTRAS!r}:
            sys.modules[name] = None          # an import of it raises ImportError
        for name in {_modules()!r}:
            importlib.import_module(name)
    """)
    assert done.returncode == 0, done.stderr


def test_the_command_line_pulls_in_neither_torch_nor_onnxruntime():
    done = _run("""
        import sys, trtkit.cli
        heavy = {"torch", "onnxruntime", "onnx", "cv2", "numpy", "tensorrt_rtx_bindings", "pydantic"}
        print(sorted(heavy & set(sys.modules)))
    """)
    assert done.stdout.strip() == "[]"


def test_runtime_infer_and_serve_never_import_torch():
    done = _run("""
        import importlib, pkgutil, sys, trtkit.runtime, trtkit.infer, trtkit.serve, trtkit.report.serving
        for package in (trtkit.runtime, trtkit.infer, trtkit.serve):
            for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                importlib.import_module(module.name)
        print("torch" in sys.modules)
    """)
    assert done.stdout.strip() == "False", done.stderr


def test_a_missing_extra_is_named_with_its_command():
    done = _run("""
        import sys
        sys.modules["onnxruntime"] = None
        from trtkit.errors import MissingComponent
        from trtkit.runtime.cpu import CpuBackend
        try:
            CpuBackend(b"")
        except MissingComponent as error:
            print(error)
    """)
    assert "running a network on the CPU needs the Python package 'onnxruntime'" in done.stdout
    assert "pip install 'trtkit[cpu]'" in done.stdout


def test_a_library_that_lacks_one_of_its_own_is_named_too(monkeypatch):
    def broken(module):
        raise OSError("libcudart.so.12: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(MissingComponent, match=r"'onnxruntime' \(it is installed but does not import: libcudart"):
        need("onnxruntime", "this")
