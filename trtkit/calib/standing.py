"""Is there an INT8 form to build from? The one under the artifacts folder, if it belongs to what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence

from trtkit import manifest, models
from trtkit.calib import form, scales
from trtkit.calib.target import Target
from trtkit.errors import Mistake
from trtkit.files import sha256
from trtkit.manifest import Manifest


def why_not_int8(target: Target) -> str | None:
    """A sentence, None where engines.yaml states INT8 for the network."""
    stated = target.settings.precisions
    if "int8" in stated:
        return None
    because = f": {target.spec.not_int8}" if target.spec.not_int8 else ""
    return f"{target.name} has no INT8 form, since engines.yaml states {', '.join(stated)} alone for it{because}"


def check_any_quantized(targets: Sequence[Target]) -> None:
    """Raise Mistake if engines.yaml states INT8 for none of a model's networks."""
    if all(why_not_int8(target) is not None for target in targets):
        check_quantized(targets[0])


def check_quantized(target: Target) -> None:
    """Raise Mistake if engines.yaml does not state INT8 for the network."""
    why = why_not_int8(target)
    if why is not None:
        verb = "export" if target.model.name in models.NAMES else "build"
        raise Mistake(
            f"{why}; leave int8 out, as in: trtkit {verb} {target.model.called} "
            f"{'--gpu GPU ' if verb == 'build' else ''}--precision {target.settings.precisions[0]}"
        )


def int8_form(target: Target) -> Manifest:
    """The manifest of the Q/DQ ONNX at `target.onnx('int8')`. Raises Mistake, with the command that makes it, if there
    is none, if its scales are another network's, or if they were placed by another block list."""
    check_quantized(target)
    path, command = target.onnx("int8"), target.calibrate_command
    if not target.scales.is_file() or not path.is_file():
        raise Mistake(f"{target.name} has no INT8 scales under {target.root}; make them with: {command}")
    found, exact = scales.read(target.scales), target.exact
    if found.key.onnx_sha256 != exact.manifest.came_out.sha256:
        raise Mistake(
            f"{target.scales} was made for another ONNX (sha256 {found.key.onnx_sha256[:8]}) than {exact.path} "
            f"({exact.manifest.came_out.sha256[:8]}); calibrate again with: {command}"
        )
    record = manifest.read_verified(path)
    worst = list(record.made_with.flags.get("worst", []))
    if record.build_key != form.build_key(target, sha256(target.scales), worst):
        raise Mistake(
            f"{path} was not made of {target.scales.name} and the block list of engines.yaml as they are now; "
            f"make it again with: {command}"
        )
    return record
