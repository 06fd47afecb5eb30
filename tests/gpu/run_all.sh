#!/usr/bin/env bash
# Everything that only a machine with an NVIDIA GPU can show, with one command, from the repository's root:
#   tests/gpu/run_all.sh [OUT]        figures and logs go to OUT (default: build/gpu)
# Needs: pip install -e '.[cuda,serve]' pytest; torch for its tests and as a peer; compute-sanitizer from the CUDA toolkit.
# LARGE=FOLDER: soak and bench the networks whose NETWORK.skeleton.onnx lie there, on random weights (random_weights.py),
# in place of the one in the package. REQUESTS, SOAK_SECONDS, ROUNDS, EACH and PEERS=--no-peers make it shorter;
# STEPS='tests serve' leaves out all but these of its steps: tests soak bench-cv_unet bench-dct_net soak-large int8 serve memcheck initcheck.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-build/gpu}
mkdir -p "$out"
out=$(realpath "$out") here=$PWD
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=0
step() { # step NAME COMMAND...
  local name=$1; shift
  if [ -n "${STEPS:-}" ] && [[ " $STEPS " != *" $name "* ]]; then return; fi
  echo "== $name ($SECONDS s so far)"
  if ! "$@" 2>&1 | tee "$out/$name.log" | tail -n "${LINES_SHOWN:-25}"; then failed=1; echo "== $name FAILED"; fi
}
bench() { # bench NETWORK OPTIONS...
  local network=$1; shift
  step "bench-$network" env -C "$work" PYTHONPATH="$here:${PYTHONPATH:-}" python3 -m trtkit.cli bench run "$network" --backend cuda --batch 1 --batch 8 \
    --rounds "${ROUNDS:-8}" --each "${EACH:-16}" ${PEERS:-} --json "$out/bench-$network.json" --chart "$out/bench-$network.png" "$@"
}
soak() { # soak NAME OPTIONS...
  local name=$1; shift
  step "$name" env -C "$work" PYTHONPATH="$here:${PYTHONPATH:-}" python3 -m tests.gpu.soak --requests "${REQUESTS:-100000}" "$@"
}
python3 -m trtkit.cli doctor 2>&1 | tee "$out/doctor.log"  # it may find fault with what else is installed
step tests python3 -m pytest -m gpu -p no:cacheprovider tests/runtime
soak soak
if [ -n "${LARGE:-}" ]; then
  # engines.yaml allows four pictures of dct_net at once; here eight are wanted.
  python3 - "$work/engines.yaml" <<'PYTHON'
import sys

import yaml

from trtkit import config

settings = config.load().model_dump(by_alias=True)
most = {"min": [1, 16, 16, 3], "opt": [1, 720, 720, 3], "max": [8, 736, 1312, 3]}
settings["models"]["dct_net"]["networks"]["background"]["profiles"] = [{"image": most}]
with open(sys.argv[1], "w", encoding="utf-8") as stream:
    yaml.safe_dump(settings, stream)
PYTHON
  for skeleton in "$(realpath "$LARGE")"/*.skeleton.onnx; do
    model=$(basename "$skeleton" .skeleton.onnx) network=matting
    if [ "$model" = dct_net ]; then network=background; fi
    mkdir -p "$work/$model"
    python3 -m tests.gpu.random_weights "$skeleton" "$work/$model/$network.fp16.onnx" "$work/$model.safetensors"
  done
  bench cv_unet --weights "$work/cv_unet.safetensors" --artifacts "$work"
  bench dct_net --weights "$work/dct_net.safetensors" --artifacts "$work" --size 720 --no-faces
  soak soak-large --model cv_unet --artifacts "$work" --side 256 --seconds "${SOAK_SECONDS:-600}"
else
  bench cv_unet
fi
step int8 tests/gpu/int8.sh "${INT8:-build/int8}" "$out"
if python3 -c "import httptools, multipart, starlette, uvicorn" 2>/dev/null; then
  step serve tests/gpu/serve.sh "$out"
else
  echo "== serve is left out; it needs: pip install -e '.[serve]'"
fi
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck initcheck; do
    # cuda-bindings asks the driver for functions that it may not have, which is no error.
    step "$tool" compute-sanitizer --tool "$tool" --report-api-errors no --error-exitcode 9 python3 -m tests.gpu.small
  done
else
  echo "== compute-sanitizer is not here; it comes with the CUDA toolkit"
fi
echo "== $SECONDS s in all"
exit $failed
