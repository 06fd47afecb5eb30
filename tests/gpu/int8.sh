#!/usr/bin/env bash
# INT8 against FP16 and FP32 of the embedded networks on this machine's GPU, with one command from anywhere:
#   tests/gpu/int8.sh [ARTIFACTS] [OUT]      tables and figures go to OUT/int8.md and OUT/int8.json
# ARTIFACTS (default: build/int8) holds the ONNX forms; what is missing or stale in it is made first, without torch.
# That takes minutes of CPU, so for a machine whose time is dear make it elsewhere: python -m tests.gpu.int8 prepare DIR
# BACKEND=cpu tries the script itself on a machine without a GPU.
set -euo pipefail
cd "$(dirname "$0")/../.."
artifacts=${1:-build/int8} out=${2:-${OUT:-build/gpu}}
exec "${PYTHON:-python3}" -m tests.gpu.int8 measure "$artifacts" "$out" --backend "${BACKEND:-cuda}" \
  --rounds "${ROUNDS:-9}" --each "${EACH:-20}" --budget "${BUDGET:-45}"
