"""Trains HRN's narrow networks: `python -m training.hrn.train [--smoke SECONDS] [--network NAME …] [--out FILE]`."""

from __future__ import annotations

import argparse
import copy
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from training.hrn.crops import Bank
from training.hrn.drawing import Drawer
from training.hrn.tasks import TASKS

FACES = 8192
"""That each network's training keeps at a time, and replaces one after the other."""


def train(
    name: str,
    folder: Path,
    seconds: float,
    total: float,
    device: str,
    smoke: bool,
    batch: int | None,
    faces: int = FACES,
) -> None:
    """Trains one network for `seconds`, going on from what `folder` holds; `total` seconds are the whole schedule.
    `faces` are kept at a time."""
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    began = time.monotonic()
    task = TASKS[name]()
    net = task.network.to(device).train()
    averaged = copy.deepcopy(net).eval()
    follow, theirs = torch.optim.swa_utils.get_ema_multi_avg_fn, _floats(net)
    mine = _floats(averaged)
    optimizer = torch.optim.AdamW(net.parameters(), lr=task.rate, weight_decay=1e-4)
    done, step, path = 0.0, 0, folder / f"{name}.pt"
    if path.is_file():
        held = torch.load(path, map_location=device, weights_only=True)
        net.load_state_dict(held["net"])
        averaged.load_state_dict(held["averaged"])
        optimizer.load_state_dict(held["optimizer"])
        done, step = held["done"], held["step"]
    # What goes on is to see other faces than what began; what begins again, the same.
    torch.manual_seed(sum(map(ord, name)) + step)
    bank = Bank(Drawer(device), 8 if smoke else faces, 1 if smoke else min(32, faces), task.every)
    batch = batch or (2 if smoke else task.batch)
    saved = said = time.monotonic()
    before, earlier = done, step
    while True:
        now = time.monotonic()
        done = before + now - began
        last = now - began >= seconds and step > earlier
        if now - saved > 20 or last:
            state = {"net": net.state_dict(), "averaged": averaged.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save({**state, "done": done, "step": step}, path.with_suffix(".part"))
            os.replace(path.with_suffix(".part"), path)
            saved = now
        if last:
            return
        share = min(done / total, 1.0)
        rate = task.rate * min(1, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, figures = task.step(net, bank, batch)
        if bool(torch.isfinite(loss)):
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
        step += 1
        follow(min(0.998, step / (step + 10)))(mine, theirs, step)
        if now - said > (2 if smoke else 20) or step == 1:
            words = " ".join(f"{key} {float(value):.3f}" for key, value in figures.items())
            print(f"{name} {done:.0f} s step {step} loss {float(loss.detach()):.4f} {words}", flush=True)
            said = now


def _floats(net: nn.Module) -> list[Tensor]:
    """What is averaged: all but counts."""
    return [value for value in net.state_dict().values() if value.is_floating_point()]


def collect(folder: Path, out: Path) -> None:
    """The averaged weights of every network in one safetensors file, NETWORK/TENSOR, whole at any time."""
    from safetensors.torch import save_file

    tensors = {}
    for path in sorted(folder.glob("*.pt")):
        held = torch.load(path, map_location="cpu", weights_only=True)
        tensors |= {f"{path.stem}/{key}": value.contiguous() for key, value in held["averaged"].items()}
    if tensors:
        save_file(tensors, out.with_suffix(".part"))
        os.replace(out.with_suffix(".part"), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", type=float, help="so many seconds a network, tiny batches")
    parser.add_argument("--network", action="append", choices=sorted(TASKS))
    parser.add_argument("--seconds", type=float, default=1100, help="of each network in this run")
    parser.add_argument("--total", type=float, help="of the whole schedule, over several runs")
    parser.add_argument("--folder", type=Path, default=Path("build/hrn-training"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--faces", type=int, default=FACES, help="kept at a time; drawing them is slow on a CPU")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    names = options.network or list(TASKS)
    seconds = options.smoke or options.seconds
    options.folder.mkdir(parents=True, exist_ok=True)
    out = options.out or options.folder / "hrn.safetensors"
    if options.one or options.smoke:
        for name in names:
            rest = device, bool(options.smoke), options.batch, options.faces
            train(name, options.folder, seconds, options.total or seconds, *rest)
        if not options.one:
            collect(options.folder, out)
        return
    shared = ["--seconds", str(seconds), "--total", str(options.total or seconds), "--folder", str(options.folder)]
    shared += ["--faces", str(options.faces), *(["--batch", str(options.batch)] if options.batch else [])]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    processes = [
        subprocess.Popen([sys.executable, "-m", "training.hrn.train", "--one", "--network", name, *shared])
        for name in names
    ]
    try:
        while any(process.poll() is None for process in processes):
            time.sleep(5)
            collect(options.folder, out)
    finally:
        for process in processes:
            process.terminate()
    collect(options.folder, out)
    if any(process.returncode for process in processes):
        raise SystemExit("a network's training ended in an error, see above")


if __name__ == "__main__":
    main()
