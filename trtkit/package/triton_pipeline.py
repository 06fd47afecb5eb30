"""A pipeline as a model of Triton's Python backend: picture files in, networks called through Triton, files out.

Runs inside Triton alone, whose `triton_python_backend_utils` is handed in by the model.py of the repository.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trtkit import models
from trtkit.errors import CheckFailed, Mistake, TrtkitError
from trtkit.models.imaging.decode import decode_bytes
from trtkit.models.imaging.encode import encode
from trtkit.models.pipeline import Pipeline, StageClock, picture_of
from trtkit.models.served import in_a_request
from trtkit.package.bls import BlsBackend
from trtkit.serve.names import PIPELINE_INPUT, PIPELINE_OUTPUT
from trtkit.serve.protocol.options import pipeline_options
from trtkit.serve.refusal import as_refusal

log = logging.getLogger("trtkit.package")

_PIPELINES = 32


@dataclass
class _Job:
    """One picture of a request: `key` are the options, `raw` what the networks gave."""

    data: bytes
    suffix: str
    pipeline: Pipeline
    item: Any = None
    raw: Any = None
    body: bytes = b""
    error: TrtkitError | None = None


@dataclass
class _Asked:
    """One request: its pictures, or why it cannot be answered."""

    shape: tuple[int, ...] = (0, 1)
    jobs: list[_Job] = field(default_factory=list)
    error: TrtkitError | None = None


class PipelineModel:
    """What model.py's TritonPythonModel derives from. `utils` is set by it."""

    utils: Any

    def initialize(self, args: Mapping[str, str]) -> None:
        settings = json.loads(json.loads(args["model_config"])["parameters"]["trtkit"]["string_value"])
        self._model = models.get(settings["model"]).styled(settings["style"])
        self._megapixels = float(settings["megapixels"])
        self._networks = {
            name: BlsBackend(self.utils, self._model.network(name), shares)
            for name, shares in settings["networks"].items()
        }
        self._pipelines: dict[tuple, Pipeline] = {}
        self._host = ThreadPoolExecutor(thread_name_prefix="trtkit-host")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Pictures that came at once are prepared side by side and share runs of the networks."""
        asked = [self._read(request) for request in requests]
        jobs = [job for one in asked for job in one.jobs]
        list(self._host.map(self._prepare, jobs))
        by_pipeline: dict[int, list[_Job]] = {}
        for job in jobs:
            if job.error is None:
                by_pipeline.setdefault(id(job.pipeline), []).append(job)
        for together in by_pipeline.values():
            self._run(together)
        list(self._host.map(self._finish, [job for job in jobs if job.error is None]))
        return [self._response(one) for one in asked]

    def finalize(self) -> None:
        self._host.shutdown(wait=True)

    def _read(self, request: Any) -> _Asked:
        pictures = self.utils.get_input_tensor_by_name(request, PIPELINE_INPUT).as_numpy()
        asked = _Asked(pictures.shape)
        try:
            options, suffix = pipeline_options(self._model, json.loads(request.parameters() or "{}"))
            pipeline = self._pipeline(options)
        except TrtkitError as error:
            asked.error = error
            return asked
        asked.jobs = [_Job(bytes(data), suffix, pipeline) for data in pictures.reshape(-1)]
        return asked

    def _pipeline(self, options: Mapping[str, Any]) -> Pipeline:
        key = tuple(sorted(options.items()))
        found = self._pipelines.pop(key, None) or self._model.open_pipeline(self._networks, options, self._megapixels)
        self._pipelines[key] = found  # the latest last
        while len(self._pipelines) > _PIPELINES:
            del self._pipelines[next(iter(self._pipelines))]
        return found

    def _prepare(self, job: _Job) -> None:
        with _errors_of(job):
            picture = decode_bytes(
                job.data, "the picture", limit_megapixels=self._megapixels, at_least=job.pipeline.needed_pixels
            )
            job.item = job.pipeline.prepare(picture, StageClock())

    def _run(self, jobs: list[_Job]) -> None:
        try:
            raws = jobs[0].pipeline.run([job.item for job in jobs], StageClock())
        except TrtkitError as error:
            for job in jobs:
                job.error = error
            return
        for job, raw in zip(jobs, raws, strict=True):
            job.raw = raw

    def _finish(self, job: _Job) -> None:
        with _errors_of(job):
            picture = picture_of(job.pipeline.finish(job.item, job.raw, StageClock()))
            job.body = encode(picture, job.suffix, "the result")

    def _response(self, asked: _Asked) -> Any:
        utils = self.utils
        error = asked.error or next((job.error for job in asked.jobs if job.error), None)
        if error is not None:
            code = utils.TritonError.INVALID_ARG if isinstance(error, Mistake) else utils.TritonError.INTERNAL
            return utils.InferenceResponse(error=utils.TritonError(self._sentence(error), code))
        bodies = np.empty(len(asked.jobs), object)
        bodies[:] = [job.body for job in asked.jobs]
        return utils.InferenceResponse(output_tensors=[utils.Tensor(PIPELINE_OUTPUT, bodies.reshape(asked.shape))])

    def _sentence(self, error: TrtkitError) -> str:
        """What is wrong, for somebody who sent parameters and knows no command line."""
        sentence = str(as_refusal(error)) if isinstance(error, Mistake) else str(error)
        return in_a_request(sentence, self._model.served)


@contextmanager
def _errors_of(job: _Job) -> Iterator[None]:
    """Whatever one picture does, those that came with it are answered."""
    try:
        yield
    except TrtkitError as error:
        job.error = error
    except Exception:
        log.exception("a picture failed")
        job.error = CheckFailed("an error inside the pipeline; Triton's log has the reason")
