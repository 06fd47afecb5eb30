"""The command line: one function a verb, no logic. Libraries are imported inside the verbs, so --help is quick."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from trtkit import __version__
from trtkit.artifacts import DEFAULT_ROOT, existing
from trtkit.errors import TrtkitError

app = typer.Typer(
    name="trtkit",
    help="From a ModelScope checkpoint to a measured, verified TensorRT engine to a running service.",
    epilog="Begin with: trtkit infer photo.jpg. Each verb tells its options with --help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bench_app = typer.Typer(
    help="Measure, side by side with what one would use instead; ratios first.", no_args_is_help=True
)
app.add_typer(bench_app, name="bench")
package_app = typer.Typer(help="Write what another server serves: a Triton model repository.", no_args_is_help=True)
app.add_typer(package_app, name="package")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="An engines.yaml (default: ./engines.yaml, else the package's).")
]
OutRootOption = Annotated[Path, typer.Option("--out", help="Folder of the artifacts.")]
RootOption = Annotated[Path, typer.Option("--artifacts", help="Folder of the artifacts that export and build made.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Make it again even if it is up to date.")]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="Folder of photographs to check on (default: scikit-image's).")
]
StyleOption = Annotated[
    str | None,
    typer.Option(
        help="dct_net: anime, 3d, handdrawn, sketch, artstyle, sd-design or sd-illustration; default: anime if it was "
        "pulled, else trtkit's own."
    ),
]
BackendOption = Annotated[
    Literal["auto", "tensorrt", "tensorrt-rtx", "cuda", "cpu"],
    typer.Option(help="What runs the network; auto: the best that really runs here."),
]
DeviceOption = Annotated[int, typer.Option(min=0, help="Number of the GPU, in CUDA's order.")]
ProcessesOption = Annotated[
    int, typer.Option(help="Processes for the host work, beside the one with the networks (1: all in one).")
]
SlotsOption = Annotated[int, typer.Option(min=1, help="Requests a GPU holds at once.")]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="embedded, official, or a checkpoint or folder; default: your own if they were exported, else the pulled "
        "snapshot, else embedded."
    ),
]
ARTIFACTS = DEFAULT_ROOT
STOPPED, STOPPED_WORDS = 130, "stopped; nothing half-made was kept"
"""Exit code and sentence after a Ctrl-C."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"trtkit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback behind an error.")] = False,
) -> None:
    """Options of every verb."""


@app.command()
def doctor(config: ConfigOption = None) -> None:
    """Show what is installed, which GPUs are here, what each can do, and the command that mends what is broken."""
    from trtkit.report import doctor as report

    raise typer.Exit(report.show(config))


@app.command("models")
def list_models(config: ConfigOption = None) -> None:
    """List the models: their networks, the weights here and on the hub, and which GPUs are served by what."""
    from trtkit.report import models as report

    report.show(config)


@app.command()
def pull(
    model: Annotated[str, typer.Argument(help="cv_unet, dct_net, hrn")],
    style: Annotated[
        str | None,
        typer.Option(help="dct_net: anime, 3d, handdrawn, sketch, artstyle, sd-design or sd-illustration (anime)."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Another branch or tag of the snapshot than the one trtkit is made for.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of snapshots (default: $MODELSCOPE_CACHE, else ~/.cache/modelscope).")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="URL of the hub (default: $MODELSCOPE_ENDPOINT, else the hub's own).")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no hub: say whether the whole snapshot is there already.")
    ] = False,
) -> None:
    """Fetch a model's official snapshot from the hub: the files that are needed, resumed where it stopped, checked."""
    from trtkit.report import pulling

    pulling.show(model, style, revision, cache, endpoint, offline)


@app.command()
def export(
    model: Annotated[str | None, typer.Argument(help="cv_unet, dct_net, hrn")] = None,
    precision: Annotated[
        Literal["fp32", "fp16"], typer.Option(help="fp16: all but the layers that need FP32.")
    ] = "fp32",
    weights: Annotated[
        str | None,
        typer.Option(
            help="embedded, official, or a checkpoint or folder; default: the pulled snapshot, else embedded."
        ),
    ] = None,
    style: StyleOption = None,
    any_graph: Annotated[
        Path | None, typer.Option(help="In place of a model: a frozen TensorFlow graph (.pb) to import.")
    ] = None,
    graph_input: Annotated[
        list[str] | None,
        typer.Option("--input", help="--any-graph: the node to feed pictures to; NAME=VALUE fixes another one."),
    ] = None,
    graph_output: Annotated[
        list[str] | None, typer.Option("--output", help="--any-graph: a node to fetch; repeatable.")
    ] = None,
    tf_python: Annotated[
        Path | None,
        typer.Option(help="A Python with tensorflow and tf2onnx (default: $TRTKIT_TF_PYTHON, else this one)."),
    ] = None,
    out: OutRootOption = ARTIFACTS,
    images: ImagesOption = None,
    force: ForceOption = False,
    config: ConfigOption = None,
) -> None:
    """Export a model's networks to ONNX and check them against the source network on real photographs."""
    from trtkit.errors import Mistake
    from trtkit.report import exporting

    if any_graph is not None and (weights is not None or style is not None):
        raise Mistake("--weights and --style belong to a model of trtkit's; leave them out beside --any-graph")
    if any_graph is not None and model is None:
        exporting.show_any_graph(
            any_graph, graph_input or [], graph_output or [], precision, out, images, force, config, tf_python
        )
    elif model is not None and any_graph is None and not graph_input and not graph_output:
        exporting.show(model, precision, weights, style, out, images, force, config, tf_python)
    else:
        raise Mistake("name either a model, or a frozen graph by --any-graph FILE --input NAME --output NAME")


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="cv_unet, dct_net, hrn")],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of photographs (default, for the embedded weights alone: drawn portraits)."),
    ] = None,
    method: Annotated[
        Literal["minmax", "entropy", "percentile"] | None,
        typer.Option(help="How much of a tensor's range is kept (default: what engines.yaml says, else minmax)."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Images to use at most, evenly spaced.")] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Measure what each layer costs: a table and a chart.")
    ] = False,
    keep_fp16: Annotated[int, typer.Option(min=0, help="Leave this many of the dearest layers in FP16.")] = 0,
    style: StyleOption = None,
    weights: WeightsOption = None,
    out: OutRootOption = ARTIFACTS,
    force: ForceOption = False,
    config: ConfigOption = None,
) -> None:
    """Turn images into INT8 scales and a Q/DQ ONNX that TensorRT 10, 11 and RTX build."""
    from trtkit.calib.run import Wish
    from trtkit.report import calibrating

    wish = Wish(images, method, limit, force, keep_fp16, sensitivity)
    calibrating.show(model, style, weights, out, wish, config)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="cv_unet, dct_net, hrn")],
    precision: Annotated[str, typer.Option(help="Which to compare, separated by commas.")] = "fp32,fp16,int8",
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photographs to compare on (default: scikit-image's; for hrn's own net_recon drawn faces)."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Images to use at most, evenly spaced.")] = None,
    backend: BackendOption = "auto",
    device: DeviceOption = 0,
    batch: Annotated[int, typer.Option(min=1, help="Pictures in each timed run.")] = 1,
    style: StyleOption = None,
    weights: WeightsOption = None,
    root: RootOption = ARTIFACTS,
    config: ConfigOption = None,
) -> None:
    """Accuracy against FP32 and speed of a model's precisions, side by side; the worst image shown."""
    from trtkit.report import evaluating

    root = existing(root, weights)
    evaluating.show(model, style, weights, precision, images, limit, backend, device, batch, root, config)


@app.command()
def build(
    models: Annotated[
        list[str] | None, typer.Argument(help="cv_unet, dct_net, hrn, or an imported graph; default: all models.")
    ] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option("--gpu", help="A GPU of engines.yaml (a10) or a compute capability (sm86); needed, repeatable."),
    ] = None,
    precision: Annotated[
        Literal["fp16", "int8", "fp32", "auto"],
        typer.Option(help="int8: what trtkit calibrate made; auto: that where it was measured faster, else fp16."),
    ] = "fp16",
    builder: Annotated[
        Literal["auto", "tensorrt-rtx", "tensorrt"],
        typer.Option(help="auto: tensorrt on that very GPU where it is installed, else tensorrt-rtx."),
    ] = "auto",
    style: StyleOption = None,
    weights: WeightsOption = None,
    out: OutRootOption = ARTIFACTS,
    images: ImagesOption = None,
    force: ForceOption = False,
    config: ConfigOption = None,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Build INT8 even if it is past the tolerance in engines.yaml.")
    ] = False,
    version_compatible: Annotated[
        bool,
        typer.Option(
            "--version-compatible", help="An engine that any later TensorRT loads, its lean runtime in it (tensorrt)."
        ),
    ] = False,
    summary: Annotated[Path | None, typer.Option(help="Write the table to this file, as Markdown.")] = None,
) -> None:
    """Build engines for the GPUs you name; TensorRT-RTX needs no GPU for it."""
    from trtkit.report import building

    wish = building.Wish(precision, builder, out, images, force, accept_loss, version_compatible)
    building.show(models or [], gpu or [], style, weights, wish, config, summary)


@app.command()
def infer(
    pictures: Annotated[list[str], typer.Argument(help="Pictures, folders or glob patterns.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Result file, or folder for several.")] = None,
    model: Annotated[str, typer.Option("--model", "-m", help="cv_unet, dct_net, hrn")] = "cv_unet",
    style: StyleOption = None,
    weights: WeightsOption = None,
    size: Annotated[
        int | None, typer.Option(min=64, help="cv_unet: side of the canvas the network sees, at most 2048 (512).")
    ] = None,
    background: Annotated[
        str | None, typer.Option(help="cv_unet: put this behind the person, a colour (white, '#0a84ff') or a picture.")
    ] = None,
    alpha_only: Annotated[
        bool, typer.Option("--alpha-only", help="cv_unet: write the matte itself, greyscale.")
    ] = False,
    mode: Annotated[
        Literal["fast", "fine"] | None,
        typer.Option(
            help="dct_net: work at a short side of at most 720 (fast, the default) or at the picture's own size (fine)."
        ),
    ] = None,
    no_faces: Annotated[
        bool, typer.Option("--no-faces", help="dct_net: do not draw heads by the head network.")
    ] = False,
    head_mask: Annotated[
        str | None, typer.Option(help="dct_net: a picture that says where heads blend in, e.g. the official alpha.jpg.")
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="dct_net: memory beside the picture and its result, e.g. 1GiB (2GiB).")
    ] = None,
    output: Annotated[
        Literal["coeffs", "uv", "mesh", "all"] | None,
        typer.Option(
            help="hrn: coeffs, the 257 numbers; uv, the texture; mesh, with texture and preview (the default); all, "
            "these and the maps."
        ),
    ] = None,
    all_faces: Annotated[
        bool, typer.Option("--all-faces", help="hrn: every face of a picture, not only the surest.")
    ] = False,
    assets: Annotated[
        Path | None, typer.Option(help="hrn: folder of the face model's files, where not beside the weights.")
    ] = None,
    file_format: Annotated[
        Literal["png", "webp", "jpg"],
        typer.Option("--format", help="Kind of the results where --out does not name a file."),
    ] = "png",
    backend: BackendOption = "auto",
    device: DeviceOption = 0,
    batch: Annotated[int, typer.Option(min=1, help="Pictures in one run of the network.")] = 1,
    max_megapixels: Annotated[float, typer.Option(min=0.001, help="Refuse larger pictures.")] = 100,
    root: RootOption = ARTIFACTS,
) -> None:
    """Run a model on pictures: cut the person out, draw a cartoon, or make a 3D face mesh with its texture."""
    from trtkit.report import inferring

    asked = {"size": size, "background": background, "alpha_only": alpha_only or None}
    asked |= {"mode": mode, "no_faces": no_faces or None, "head_mask": head_mask, "max_memory": max_memory}
    asked |= {"output": output, "all_faces": all_faces or None, "assets": str(assets) if assets else None}
    options = {name: value for name, value in asked.items() if value is not None}
    root = existing(root, weights)
    raise typer.Exit(
        inferring.show(
            pictures, out, model, style, weights, options, file_format, backend, device, batch, max_megapixels, root
        )
    )


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A picture.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another of the same size.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The sheet (default: beside A).")] = None,
    max_megapixels: Annotated[float, typer.Option(min=0.001, help="Refuse larger pictures.")] = 100,
) -> None:
    """Two pictures side by side with their difference; PSNR and SSIM."""
    from trtkit.report import comparing

    comparing.show(first, second, out, max_megapixels)


@app.command()
def serve(
    models: Annotated[list[str] | None, typer.Argument(help="cv_unet, dct_net, hrn (default: all).")] = None,
    style: StyleOption = None,
    weights: WeightsOption = None,
    host: Annotated[str, typer.Option(help="Address; any but this machine's own demands API keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    backend: BackendOption = "auto",
    device: Annotated[
        list[int] | None, typer.Option("--device", min=0, help="A GPU, in CUDA's order; repeatable (0).")
    ] = None,
    api_keys: Annotated[
        Path | None, typer.Option(help="File of API keys, one a line (default: $TRTKIT_API_KEYS, by commas).")
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Ask for no keys, whoever can reach the address.")] = False,
    cors: Annotated[
        list[str] | None, typer.Option("--cors", help="An origin whose pages may call; repeatable.")
    ] = None,
    queue: Annotated[int, typer.Option(min=1, help="Requests under way at most; more are told to come back.")] = 64,
    max_upload: Annotated[float, typer.Option(min=0.001, help="Refuse larger bodies of requests, in MiB.")] = 32,
    max_megapixels: Annotated[float, typer.Option(min=0.001, help="Refuse larger pictures; 9 is 3000x3000.")] = 9,
    time_limit: Annotated[float, typer.Option(min=0.1, help="Seconds from a request to its answer, at most.")] = 10,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of a process for host work (default: its share of the cores, at most 8)."),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures in a run at most (default: engines.yaml, by network and backend)."),
    ] = None,
    mode: Annotated[
        Literal["fast", "fine"] | None,
        typer.Option(help="dct_net: the mode where a request names none; with fast, none can ask for fine."),
    ] = None,
    access_log: Annotated[bool, typer.Option(help="A line for each request, JSON on stderr.")] = True,
    processes: ProcessesOption = 1,
    root: RootOption = ARTIFACTS,
    config: ConfigOption = None,
) -> None:
    """Serve models over HTTP: pictures in, pictures out, in batches, within limits."""
    from trtkit.report import serving
    from trtkit.serve.limits import Limits, default_workers

    bounds = {"queue": queue, "upload": int(max_upload * (1 << 20)), "megapixels": max_megapixels}
    limits = Limits(**bounds, seconds=time_limit, workers=workers or default_workers(processes))  # type: ignore[arg-type]
    root = existing(root, weights)
    wish = serving.Wish(models or [], style, weights, backend, device or [0], mode, max_batch, root, config)
    serving.show(wish, host, port, limits, api_keys, no_auth, cors or [], access_log, processes)


@app.command()
def inspect(file: Annotated[Path, typer.Argument(help="An ONNX file, an engine, or a chain.json.")]) -> None:
    """Say what an artifact is, from what it was made, and for what."""
    from trtkit.report import artifact

    artifact.show(file)


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="Artifacts, or folders of them.")],
    here: Annotated[bool, typer.Option("--here", help="Engines for other GPUs than this machine's fail.")] = False,
) -> None:
    """Recompute the hashes of artifacts and judge their versions and compute capability."""
    from trtkit.report import artifact

    raise typer.Exit(artifact.verify(files, here))


@package_app.command("triton")
def package_triton(
    models: Annotated[list[str] | None, typer.Argument(help="cv_unet, dct_net, hrn (default: all).")] = None,
    gpu: Annotated[
        list[str] | None,
        typer.Option("--gpu", help="Take an engine for this GPU; repeatable (default: every engine there is)."),
    ] = None,
    precision: Annotated[
        Literal["fp16", "int8", "fp32"] | None,
        typer.Option(help="Default: FP16 where it was made, else what there is."),
    ] = None,
    python: Annotated[
        bool, typer.Option("--python", help="Also the networks in Triton's Python backend, on the CPU.")
    ] = False,
    style: StyleOption = None,
    root: RootOption = ARTIFACTS,
    out: Annotated[Path, typer.Option(help="Folder of the package; an older package there is replaced.")] = Path(
        "triton"
    ),
    config: ConfigOption = None,
) -> None:
    """Write a Triton model repository: engines by compute capability, the ONNX for other GPUs, the pipelines on top."""
    from trtkit.report import packaging

    packaging.show(models or [], style, gpu or [], precision, python, root, out, config)


@bench_app.command("run")
def bench_run(
    model: Annotated[str, typer.Argument(help="cv_unet, dct_net, hrn")] = "cv_unet",
    backend: BackendOption = "auto",
    device: DeviceOption = 0,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="A batch size; repeatable (1, 2, 4, 8).")] = None,
    slots: SlotsOption = 3,
    size: Annotated[
        int, typer.Option(min=16, max=2048, help="Side of the square the network is given, where it takes any.")
    ] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 10,
    each: Annotated[int, typer.Option(min=1, help="Runs of each contender a round.")] = 10,
    photo: Annotated[Path | None, typer.Option(help="A photograph (default: a made 3-megapixel JPEG).")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The checkpoint for the PyTorch peers (default: the embedded weights).")
    ] = None,
    peers: Annotated[bool, typer.Option(help="Measure what else one would use, too, where it is installed.")] = True,
    compiled: Annotated[bool, typer.Option(help="With torch.compile among them; it compiles for a while.")] = True,
    no_faces: Annotated[
        bool, typer.Option("--no-faces", help="dct_net: whole files without the head network.")
    ] = False,
    root: RootOption = ARTIFACTS,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here, too.")] = None,
    chart: Annotated[Path | None, typer.Option(help="Draw the latencies into this PNG.")] = None,
) -> None:
    """Latency, throughput and stages of a model on a backend, beside PyTorch, ONNX Runtime and common recipes."""
    from trtkit.bench.run import Settings
    from trtkit.report import benching

    batches = tuple(batch) if batch else None
    asked = Settings(
        model,
        backend,
        device,
        batches,
        slots,
        size,
        rounds,
        each,
        photo,
        existing(root),
        weights,
        peers,
        compiled,
        no_faces,
    )
    benching.show_run(asked, json_file, chart)


@bench_app.command("host")
def bench_host(
    photo: Annotated[Path | None, typer.Option(help="A photograph (default: a made 12-megapixel JPEG).")] = None,
    rounds: Annotated[int, typer.Option(min=5, help="Interleaved rounds; medians are shown.")] = 7,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here, too.")] = None,
) -> None:
    """Decode, resize, upsample, encode of one 12-megapixel JPEG: ours beside the naive way."""
    from trtkit.report import benching

    benching.show_host(photo, rounds, json_file)


@bench_app.command("serve")
def bench_serve(
    model: Annotated[str, typer.Argument(help="cv_unet, dct_net")] = "cv_unet",
    backend: BackendOption = "auto",
    device: DeviceOption = 0,
    clients: Annotated[int, typer.Option(min=1, help="Clients at once; each asks again when it has its answer.")] = 16,
    requests: Annotated[
        int, typer.Option(min=1, help="Requests of all clients together, for each contender in each round.")
    ] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, help="What each contender takes in a round at most.")] = 10,
    lone: Annotated[int, typer.Option(min=1, help="Requests of one client alone, in each round.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    max_batch: Annotated[
        int | None,
        typer.Option(min=1, help="Pictures in a run at most (default: engines.yaml, by network and backend)."),
    ] = None,
    edge: Annotated[int, typer.Option(min=16, help="Long side of the photographs that are sent, at most.")] = 1024,
    processes: ProcessesOption = 1,
    photo: Annotated[Path | None, typer.Option(help="A photograph (default: one of scikit-image's).")] = None,
    query: Annotated[str, typer.Option(help="The model's options as a request has them, e.g. 'size=1024'.")] = "",
    style: StyleOption = None,
    weights: WeightsOption = None,
    root: RootOption = ARTIFACTS,
    config: ConfigOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here, too.")] = None,
    chart: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG.")] = None,
) -> None:
    """The server beside the pipeline alone: latency of one client, throughput of many, batches, what the host takes."""
    from trtkit.bench.serve import Settings
    from trtkit.report import benching

    asked = Settings(
        model, backend, device, clients, requests, seconds, lone, rounds, max_batch, edge, photo, query, style, weights,
        existing(root, weights), config, processes,
    )  # fmt: skip
    benching.show_serve(asked, json_file, chart)


def main() -> None:
    """Run a verb; a user's error is one sentence on stderr and its exit code (trtkit.errors)."""
    try:
        app()
    except TrtkitError as error:
        _end(error, str(error), error.exit_code)
    except OSError as error:
        if error.filename is not None:  # a name too long, a folder that is closed
            what = f"{error.filename} cannot be used: {error.strerror or error}; check the name and its permissions"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):  # behind a redirected output
            what = f"the output cannot be written: {error.strerror}; check what it is redirected to"
        else:
            raise
        _end(error, what, 2)
    except SystemExit as error:
        if error.code == STOPPED:  # typer's own end of a Ctrl-C
            typer.echo(f"trtkit: {STOPPED_WORDS}", err=True)
        raise
    except KeyboardInterrupt as error:
        _end(error, STOPPED_WORDS, STOPPED)


def _end(error: BaseException, sentence: str, code: int) -> NoReturn:
    if "--debug" in sys.argv:
        raise error
    typer.echo(f"trtkit: {sentence}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
