"""`trtkit package triton`: what went into the package, and how it starts."""

from __future__ import annotations

from pathlib import Path

from trtkit import config as configuration
from trtkit import models
from trtkit.artifacts import sm
from trtkit.config import Precision
from trtkit.errors import Mistake
from trtkit.package import folder, triton
from trtkit.report.console import console, remarks


def show(
    names: list[str],
    style: str | None,
    gpus: list[str],
    precision: Precision | None,
    python: bool,
    root: Path,
    out: Path,
    config: Path | None,
) -> None:
    """Write the package of `names` (default: all models) to the folder `out`. Raises what making and writing raise."""
    settings = configuration.load(config)
    chosen = names or [name for name in models.NAMES if not style or models.get(name).styles]
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice:
        raise Mistake(f"model '{twice}' is there twice; name it once")
    packaged = [models.get(name).styled(style) for name in chosen]
    made = triton.make(packaged, root, gpus, precision, settings, python)
    size = folder.write(out, made.files, lambda sums: triton.record(made, packaged, sums))
    printer = console()
    for backend in made.backends:
        holds = sorted({path.split("/")[1] for path in made.files if path.startswith(f"{backend}/")})
        printer.print(f"{out / backend}: {', '.join(holds)}")
    if made.tensorrt:
        engines = ", ".join(sm(capability) for capability in made.capabilities)
        printer.print(f"engines for {engines}; needs a Triton with TensorRT {made.tensorrt} (see {out / 'README.md'})")
    else:
        printer.print(
            f"no engines: GPUs serve from {out / 'onnxruntime'}; make some with: trtkit build --builder tensorrt"
        )
    for note in made.notes:
        remarks().print(note)
    printer.print(f"{len(made.files) + 1} files, {size / (1 << 20):.1f} MiB in {out}")
    printer.print(f"start: tritonserver --model-repository={out.resolve() / made.backends[0]}")
