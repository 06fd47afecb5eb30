"""`python -m trtkit.export.embed MODEL NETWORK WEIGHTS [NOTE]`: put weights into the package.

Copies the checkpoint as EMBEDDED/NETWORK.safetensors and exports it, checked, to NETWORK.fp32.onnx with its manifest,
weights stored in half where that loses nothing. The one command that makes what ships.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx

from trtkit import __version__, manifest, models
from trtkit.export.half_storage import compress
from trtkit.export.prepared import FORM_VERSION, came_out_of
from trtkit.export.run import export_checked, fp32_key
from trtkit.files import sha256, write_whole
from trtkit.manifest import MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.models.spec import Weights


def embed(model_name: str, network: str, weights: Path, note: str = "") -> Path:
    """Returns the embedded ONNX. Raises CheckFailed if the export does not match its source network."""
    model = models.get(model_name)
    spec = model.network(network)
    shipped = Weights("embedded", model.embedded_dir / f"{network}.safetensors", sha256(weights), note)
    if weights.resolve() != shipped.path.resolve():
        write_whole(shipped.path, weights.read_bytes())
    content, checks, exporter = export_checked(model, spec, shipped, None)
    stored = compress(onnx.load_from_string(content)).SerializeToString(deterministic=True)
    path = model.embedded_onnx(spec.name)
    made = Manifest(
        kind="onnx",
        model=model.name,
        network=network,
        precision="fp32",
        made_of=MadeOf(weights=WeightsRecord(kind="embedded", sha256=shipped.sha256, note=note)),
        made_with=MadeWith(trtkit=__version__, tool="torch.onnx", version=exporter, flags={"form": FORM_VERSION}),
        came_out=came_out_of(stored, checks),
        build_key=fp32_key(shipped.sha256),
    )
    manifest.publish(path, stored, made)
    return path


if __name__ == "__main__":
    name, network_name, file, *rest = sys.argv[1:]
    sys.stdout.write(f"{embed(name, network_name, Path(file), ' '.join(rest))}\n")
