"""One picture's way: file to network input in the host pool, the run, raw result to file in the host pool.

Each step hands over to the next, from thread to thread; the event loop hears of the end alone. Every word to the loop
and every thread that wakes costs Python's lock, which all requests share.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from trtkit.models.imaging.decode import Picture, decode_bytes
from trtkit.models.imaging.encode import encode
from trtkit.models.pipeline import Files, Pipeline, StageClock
from trtkit.serve.several import one_of
from trtkit.serve.ticket import Ticket, carried


@dataclass(frozen=True)
class Result:
    """`body` is the encoded file; `seconds` of each stage, a network's with the wait for its batch in it."""

    body: bytes
    size: tuple[int, int]
    seconds: dict[str, float]


@dataclass(eq=False)
class Way:
    """The file `data`, called `name`, through `pipeline`, as the content of a `suffix` file; one of several files has
    `tag` in its name.

    `tell` is called once, from any thread, with the result or the error. The ticket is looked at before
    each step of host work, so that what nobody waits for any more costs nothing; the batcher looks at it before a run.
    """

    pipeline: Pipeline
    data: bytes
    name: str
    suffix: str
    tag: str
    megapixels: float
    ticket: Ticket
    clock: StageClock
    host: ThreadPoolExecutor
    runs: ThreadPoolExecutor
    """For pipelines that wait for their runs."""
    tell: Callable[[Result | None, BaseException | None], None]

    def start(self) -> None:
        """Returns at once."""
        self._hand_to(self.host, self._prepare)

    def _hand_to(self, pool: ThreadPoolExecutor, step: Callable[..., None], *given: Any) -> None:
        try:
            pool.submit(self._do, step, *given)
        except RuntimeError as error:  # the pool is shut down
            self._fail(error)

    def _do(self, step: Callable[..., None], *given: Any) -> None:
        try:
            step(*given)
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.ticket.withdraw()
        self.tell(None, error)

    def _prepare(self) -> None:
        self.ticket.check()
        with self.clock.stage("decode"):
            picture = decode_bytes(
                self.data, self.name, limit_megapixels=self.megapixels, at_least=self.pipeline.needed_pixels
            )
        self.ticket.check()
        item = self.pipeline.prepare(picture, self.clock)
        begin = getattr(self.pipeline, "begin", None)
        if begin is None:
            self._hand_to(self.runs, self._run, picture, item)
            return
        with carried(self.ticket):
            raw: Future[Any] = begin(item, self.clock)
        self.ticket.withdraw()
        raw.add_done_callback(lambda raw: self._hand_to(self.host, self._ran, picture, item, raw))

    def _ran(self, picture: Picture, item: Any, raw: Future[Any]) -> None:
        self._finish(picture, item, raw.result())

    def _run(self, picture: Picture, item: Any) -> None:
        with carried(self.ticket):
            raw = self.pipeline.run([item], self.clock)[0]
        self.ticket.withdraw()
        self._hand_to(self.host, self._finish, picture, item, raw)

    def _finish(self, picture: Picture, item: Any, raw: Any) -> None:
        self.ticket.check()
        result = self.pipeline.finish(item, raw, self.clock)
        if isinstance(result, Files):
            body = one_of(result.make(self.tag), self.suffix)
        else:
            with self.clock.stage("encode"):
                body = encode(result, self.suffix, "the result")
        self.tell(Result(body, picture.size, dict(self.clock.seconds)), None)
