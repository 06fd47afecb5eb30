#!/usr/bin/env bash
# Everything that only a machine with an NVIDIA GPU can show, with one command, from the repository's root:
#   tests/gpu/run_all.sh [OUT]        figures and logs go to OUT (default: build/gpu)
# Needs: pip install -e '.[cuda]' pytest; torch for its tests and as a peer; compute-sanitizer from the CUDA toolkit.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-build/gpu}
mkdir -p "$out"
failed=0
step() { # step NAME COMMAND...
  local name=$1; shift
  echo "== $name"
  if ! "$@" 2>&1 | tee "$out/$name.log" | tail -n "${LINES_SHOWN:-25}"; then failed=1; echo "== $name FAILED"; fi
}
step doctor python3 -m trtkit.cli doctor
step tests python3 -m pytest -m gpu tests/runtime
step soak python3 -m tests.gpu.soak --requests "${REQUESTS:-100000}"
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck initcheck; do
    step "$tool" compute-sanitizer --tool "$tool" --error-exitcode 9 python3 -m tests.gpu.small
  done
else
  echo "== compute-sanitizer is not here; it comes with the CUDA toolkit"
fi
step bench python3 -m trtkit.cli bench run cv_unet --backend cuda --json "$out/bench.json" --chart "$out/bench.png"
exit $failed
