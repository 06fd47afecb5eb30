#!/usr/bin/env bash
# What the server makes of an NVIDIA GPU, with one command, from the repository's root, in three minutes at most:
#   tests/gpu/serve.sh [OUT [OPTION …]]    figures, charts and logs go to OUT (default: build/gpu); options of
#                                          `trtkit bench serve` stand in place of what is said here
# Needs: pip install -e '.[cuda,serve]' scikit-image. Backend cuda, the embedded cv_unet as it is in the package.
# On 16 cores or more the servers have processes for the host work, three for eight cores, but at 1024.
#   serve-1024:      the network is most of the work (canvas 1024, small photographs, the matte alone), so that the gain
#                    from batching can be compared with the backend's own;
#   serve-512-alpha: the canvas that requests get by default, small photographs, the matte alone: how many requests a second
#                    the server itself carries;
#   serve-512-small: the same with cut-outs;
#   serve-512:       cut-outs of photographs as large as the canvas: what the host leaves.
set -uo pipefail
cd "$(dirname "$0")/../.."
out=${1:-build/gpu}
more=("${@:2}")
mkdir -p "$out"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=0
common=(cv_unet --backend cuda --artifacts "$work/none" --weights embedded --rounds 3 --lone 15
  --clients 48 --requests 2000 --seconds 0.5)
fronts=(); if (($(nproc) >= 16)); then fronts=(--processes $(($(nproc) * 3 / 8))); fi
bench() { # bench NAME OPTIONS...
  local name=$1 limit=$((170 - SECONDS)); shift
  if ((limit < 12)); then echo "== $name is left out: $SECONDS s have passed"; failed=1; return; fi
  if ((limit > 45)); then limit=45; fi
  echo "== $name ($SECONDS s so far)"
  if ! timeout -k 3 "$limit" python3 -m trtkit.cli bench serve "${common[@]}" "$@" ${more[@]+"${more[@]}"} \
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
bench serve-1024 --config "$work/1024.yaml" --query 'size=1024&alpha_only=true' --edge 256
bench serve-512-alpha --query 'size=512&alpha_only=true' --edge 256 ${fronts[@]+"${fronts[@]}"}
bench serve-512-small --query size=512 --edge 256 ${fronts[@]+"${fronts[@]}"}
bench serve-512 --query size=512 --edge 512 ${fronts[@]+"${fronts[@]}"}
echo "== $SECONDS s in all"
exit $failed
