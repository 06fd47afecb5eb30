#!/usr/bin/env bash
# What the server makes of an NVIDIA GPU, with one command, from the repository's root, in under a minute:
#   tests/gpu/serve.sh [OUT]        figures, charts and logs go to OUT (default: build/gpu)
# Needs: pip install -e '.[cuda,serve]' scikit-image. Backend cuda, the embedded cv_unet as it is in the package.
#   serve-1024: the network is most of the work (canvas 1024, small photographs, the matte alone), so that the gain from
#               batching can be compared with the backend's own;
#   serve-512:  the canvas that requests get by default, and cut-outs of photographs as large as it: what the host leaves.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-build/gpu}
mkdir -p "$out"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=0
common=(cv_unet --backend cuda --artifacts "$work/none" --weights embedded --rounds 3 --lone 15)
bench() { # bench NAME SECONDS OPTIONS...
  local name=$1 limit=$2; shift 2
  echo "== $name ($SECONDS s so far)"
  if ! timeout "$limit" python3 -m trtkit.cli bench serve "${common[@]}" "$@" \
      --json "$out/$name.json" --chart "$out/$name.png" 2>&1 | tee "$out/$name.log"; then failed=1; echo "== $name FAILED"; fi
}
# engines.yaml allows two pictures at 1024; here the whole batch of eight is wanted at that size.
python3 - "$work/1024.yaml" <<'PYTHON'
import sys

import yaml

from trtkit import config

settings = config.load().model_dump(by_alias=True)
square = {"min": [1, 1024, 1024, 3], "opt": [1, 1024, 1024, 3], "max": [8, 1024, 1024, 3]}
settings["models"]["cv_unet"]["networks"]["matting"]["profiles"] = [{"image": square}]
with open(sys.argv[1], "w", encoding="utf-8") as stream:
    yaml.safe_dump(settings, stream)
PYTHON
bench serve-1024 100 --config "$work/1024.yaml" --query 'size=1024&alpha_only=true' --edge 256 \
  --clients 48 --requests 2000 --seconds 0.7
if ((SECONDS < 45)); then
  bench serve-512 $((100 - SECONDS)) --edge 512 --clients 48 --requests 2000 --seconds 0.5
else
  echo "== serve-512 is left out: $SECONDS s have passed"
fi
echo "== $SECONDS s in all"
exit $failed
