"""The hub through its own light client (modelscope-hub): what a revision holds, one file of it, and its refusals.

Every error of the client becomes one sentence; what was downloaded of a file stays as FILE.incomplete, from which
the next attempt goes on.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.files import writing
from trtkit.hub.official import Official
from trtkit.hub.record import Entry
from trtkit.optional import need

Advance = Callable[[str, int], None]
"""Called with a file's path and how many bytes of it have come."""


class Hub:
    """`endpoint` is a URL, None for $MODELSCOPE_ENDPOINT or the client's own default."""

    def __init__(self, endpoint: str | None) -> None:
        self._library = _library()
        self._api = self._library.HubApi(endpoint=endpoint)
        self.endpoint: str = endpoint or self._library.HubConfig().endpoint

    def listing(self, wanted: Official) -> dict[str, Entry]:
        """The files `wanted` needs, as the hub describes them; sha256 is '' where it does not say.

        Raises Mistake if the model, the revision or a file of it is not there or not for everyone.
        """
        try:
            with self._refusals(wanted, "the list of files"):
                found = self._api.list_repo_files(wanted.model_id, "model", revision=wanted.revision)
            there = {info.path: Entry(int(info.size or 0), (info.sha256 or "").lower()) for info in found}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # The client takes for granted that what answers is a hub.
            raise Mistake(
                f"{self.endpoint} answers, but not as the hub does ({type(error).__name__} in its list); right "
                "would be an --endpoint such as https://www.modelscope.cn"
            ) from error
        missing = [name for name in wanted.files if name not in there]
        if missing:
            raise Mistake(
                f"{self._name(wanted)} has no file {missing[0]}, which the model needs (it has {len(there)} files); "
                "right would be a --revision that has it"
            )
        return {name: there[name] for name in wanted.files}

    def fetch(self, wanted: Official, name: str, entry: Entry, folder: Path, cache: Path, advance: Advance) -> None:
        """Put one file under `folder`, whole and of the size and sum the hub stated, or raise."""
        with writing(folder / name), self._refusals(wanted, name):
            self._api.downloader.download_file(
                wanted.model_id,
                "model",
                name,
                revision=wanted.revision,
                cache_dir=cache,
                local_dir=folder,
                expected_sha256=entry.sha256 or None,
                file_size=entry.size,
                progress_callbacks=[_reporter(self._library.ProgressCallback, name, advance)],
            )

    def _name(self, wanted: Official) -> str:
        return f"revision {wanted.revision} of {wanted.model_id} on {self.endpoint}"

    @contextlib.contextmanager
    def _refusals(self, wanted: Official, what: str) -> Iterator[None]:
        errors, where = self._library, self._name(wanted)
        try:
            yield
        except errors.NotExistError as error:
            raise Mistake(
                f"{where} does not exist ({what} was not found there); check --revision and --endpoint"
            ) from error
        except (errors.AuthenticationError, errors.PermissionDeniedError) as error:
            raise Mistake(
                f"{where} is not open to you ({what} was refused); right would be an access token of the hub in the "
                "environment variable MODELSCOPE_API_TOKEN"
            ) from error
        except errors.FileIntegrityError as error:
            raise CheckFailed(
                f"{what} of {where} arrived several times with another size or sha256 than the hub states; "
                "it was not kept, and the hub's copy is damaged or being replaced: try again later"
            ) from error
        except errors.HubError as error:
            raise self._gone(wanted, what, error) from error
        except OSError as error:
            # The file system's refusals have a number and a file; those of requests lack one or the other.
            if error.errno is not None and error.filename is not None:
                raise
            raise self._gone(wanted, what, error) from error

    def _gone(self, wanted: Official, what: str, error: BaseException) -> MissingComponent:
        return MissingComponent(
            f"{self._name(wanted)} cannot be had: {_reason(error)} at {what}; check the network and --endpoint, "
            "and run the command again, which goes on where this one stopped"
        )


def _library() -> ModuleType:
    """The client without its own progress bars, which tqdm asks the environment about while it is imported, and
    without its log, unless $MODELSCOPE_LOG_LEVEL asks for it."""
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        library = need("modelscope_hub", "pulling an official snapshot")
    finally:
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before
    if not os.environ.get("MODELSCOPE_LOG_LEVEL"):
        logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)
    return library


def _reason(error: BaseException) -> str:
    """What happened to the connection, read off the chain of errors that client libraries wrap it in."""
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or following.__context__
    if any(isinstance(one, TimeoutError) or "Timeout" in type(one).__name__ for one in chain):
        return "no answer in time"
    if any(isinstance(one, ConnectionRefusedError) for one in chain):
        return "the connection was refused"
    if any("NameResolution" in type(one).__name__ for one in chain):
        return "there is no host of that name"
    if any("JSONDecode" in type(one).__name__ for one in chain):
        return "what answers there is no hub"
    status = next((code for one in chain if (code := getattr(one, "status_code", None))), None)
    return f"the hub answered with status {status}" if status else "the connection broke off"


def _reporter(base: type, name: str, advance: Advance) -> type:
    """The class of callback that the client wants, telling `advance`."""

    class Reporter(base):  # type: ignore[misc]
        def update(self, size: int) -> None:
            advance(name, size)

    reporter: Any = Reporter
    return reporter  # type: ignore[no-any-return]
