"""A job as its function sees it."""

from __future__ import annotations

import contextvars
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ._errors import Cancelled
from ._family import bound

#: The job that the running code works for.
current: contextvars.ContextVar[Job | None] = contextvars.ContextVar("geomill_job", default=None)


class Reports(Protocol):
    """Where a job's progress and log lines go."""

    def progress(self, percent: float, message: str) -> None: ...

    def log(self, level: int, message: str, fields: Mapping[str, Any] | None) -> None: ...


class Job:
    """One execution of a process. Its methods may be called from any thread."""

    #: The log of the job. What a library logs while the function runs is in it too.
    log = logging.getLogger("geomill.job")

    def __init__(
        self,
        id: str,
        reports: Reports,
        *,
        attempt: int = 1,
        directory: str = "",
        checkpoint: str = "",
        wanted: Mapping[str, str] | None = None,
        settings: Any = None,
    ) -> None:
        self.id = id
        #: 1 for the first attempt; above it the job was begun before.
        self.attempt = attempt
        #: What the operator has set, as the type given to ``serve``.
        self.settings = settings
        self._reports, self._directory, self._checkpoint, self._wanted = reports, directory, checkpoint, wanted
        self._ended = threading.Event()
        self._reason = ""
        self._deliver: Callable[[str, Any], None] = lambda name, value: None
        self._delivered: set[str] = set()

    def progress(self, percent: float, message: str = "") -> None:
        """Tells the client how far the job is, 0 to 100. It may be called often."""
        self._reports.progress(percent, message)

    @property
    def cancelled(self) -> bool:
        """Whether the job is to end: the client dismissed it, or its time is up."""
        return self._ended.is_set()

    def check(self) -> None:
        """Raises Cancelled if the job is to end. Call it now and then."""
        if self._ended.is_set():
            raise Cancelled(self._reason)

    def sleep(self, seconds: float) -> None:
        """Waits, and raises Cancelled as soon as the job is to end."""
        if self._ended.wait(seconds):
            raise Cancelled(self._reason)

    def output(self, name: str, value: Any) -> None:
        """Sends an output before the job ends; what the function returns need not have it any more.

        A file must be closed, and not be written to afterwards. It raises ValueError
        for an output that the process has not, or that was sent before.
        """
        if name in self._delivered:
            raise ValueError(f"output {name!r} was sent before")
        self._deliver(name, value)
        self._delivered.add(name)

    def wants(self, output: str) -> bool:
        """Whether an output was asked for."""
        return self._wanted is None or output in self._wanted

    def media_type(self, output: str) -> str:
        """The media type in which an output was asked for, or ""."""
        return (self._wanted or {}).get(output, "")

    @property
    def dir(self) -> str:
        """A directory for output and temporary files, removed with the job."""
        return self._made("tmp")

    @property
    def checkpoint_dir(self) -> str | None:
        """A directory that is kept from one attempt to the next, whatever crashed; None without further attempts."""
        if not self._checkpoint:
            return None
        os.makedirs(self._checkpoint, mode=0o700, exist_ok=True)
        return self._checkpoint

    def run(self, args: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        """Runs a program for the job, as ``subprocess.run`` does.

        When the job is to end, the program and all that it has started are
        killed, and Cancelled is raised; when the plugin ends, they are killed, too. ``check=True`` raises
        subprocess.CalledProcessError for an exit status other than 0.
        """
        check, given = options.pop("check", False), options.pop("input", None)
        if options.pop("capture_output", False):
            options["stdout"] = options["stderr"] = subprocess.PIPE
        options["stdin"] = subprocess.PIPE if given is not None else options.get("stdin", subprocess.DEVNULL)
        options["env"] = {**(options.get("env") or os.environ), "GEOMILL_JOB": self.id}
        self.check()
        passed = tuple(options.pop("pass_fds", ()))

        def start(bond: int) -> subprocess.Popen[Any]:
            return subprocess.Popen(args, start_new_session=True, pass_fds=(*passed, bond), **options)

        with bound(start) as program:
            done = threading.Event()
            watch = threading.Thread(target=self._kill, args=(program, done), daemon=True)
            watch.start()
            try:
                out, err = program.communicate(given)
            finally:
                done.set()
                if program.poll() is None:
                    _kill_group(program)
        watch.join()
        self.check()
        if check and program.returncode:
            raise subprocess.CalledProcessError(program.returncode, args, out, err)
        return subprocess.CompletedProcess(args, program.returncode, out, err)

    def _kill(self, program: subprocess.Popen[Any], done: threading.Event) -> None:
        while not done.wait(0.05):
            if self._ended.is_set():
                _kill_group(program)
                return

    def _made(self, name: str) -> str:
        path = os.path.join(self._directory, name)
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def _cancel(self, reason: str) -> None:
        self._reason = reason
        self._ended.set()


def _kill_group(program: subprocess.Popen[Any]) -> None:
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
