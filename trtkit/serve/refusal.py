"""Every way in which the server says no: a status and one sentence."""

from __future__ import annotations

from trtkit.errors import CheckFailed, MissingComponent, Mistake, TrtkitError
from trtkit.models.imaging.decode import TooManyPixels
from trtkit.models.imaging.encode import NoTransparency


class Refused(TrtkitError):
    """A request that is answered with `status` and one sentence; `retry_after` is in seconds, where trying again
    can help."""

    def __init__(self, status: int, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after


class Gone(Refused):
    """The client hung up: nobody reads the answer. 499 is nginx's number for it."""

    def __init__(self) -> None:
        super().__init__(499, "the client closed the connection before the answer was ready")


def as_refusal(error: BaseException) -> Refused:
    """Whatever went wrong as an answer; what is nobody's mistake becomes a 500 that tells nothing of the inside."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, TooManyPixels):
        return Refused(413, f"{error.found}; send a smaller one")
    if isinstance(error, NoTransparency):
        return Refused(400, f"{error.found}; ask for PNG or WebP, or set option 'background' where the model has it")
    if isinstance(error, Mistake):
        return Refused(400, str(error))
    if isinstance(error, MissingComponent):
        return Refused(503, str(error))
    if isinstance(error, CheckFailed):
        return Refused(500, str(error))
    return Refused(500, "an error inside the server; its log has the request's id and the reason")
