"""What a process raises."""

from __future__ import annotations

from collections.abc import Iterable


class Invalid(Exception):
    """An input is wrong in a way that its schema cannot say.

    ``pointer`` is a JSON pointer (RFC 6901) to the place within the value. The
    client gets the blame, with the name of the input. Several faults at once:
    ``raise Invalid.all([Invalid("from", "is after to"), ...])``.
    """

    def __init__(self, input: str, message: str, pointer: str = "") -> None:
        super().__init__(f"{input}: {message}")
        self.faults: list[tuple[str, str, str]] = [(input, pointer, message)]

    @classmethod
    def all(cls, faults: Iterable[Invalid]) -> Invalid:
        """Joins several into one."""
        listed = [f for fault in faults for f in fault.faults]
        if not listed:
            raise ValueError("no faults")
        joined = cls(listed[0][0], listed[0][2], listed[0][1])
        joined.faults = listed
        return joined


class Failed(Exception):
    """The process failed, for the reason given, which the client reads.

    ``status`` is the HTTP status that it is answered with, from 400 to 599, else
    500. ``code`` is for programs to tell failures apart by: at most 100 letters,
    digits and ``. _ : -``.
    """

    retryable = False
    status = 0  # of a class of its own that does not call this one's __init__
    code = ""

    def __init__(self, reason: object = "", *, status: int = 0, code: str = "") -> None:
        super().__init__(reason)
        self.status, self.code = status, code


class Retry(Failed):
    """The process failed but may succeed when it is run again later."""

    retryable = True


class Cancelled(BaseException):
    """The client has dismissed the job, or its time is up.

    It is no ``Exception``, so that ``except Exception`` does not hold it up.
    """
