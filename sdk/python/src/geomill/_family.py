"""The plugin as a process among others: it ends with its host, and what it has started with it."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def own_name() -> None:
    """Gives the main module the path of its file.

    A host starts a script by a descriptor. What looks for files beside it, and the processes of multiprocessing,
    which import it anew, need its path.
    """
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None) or ""
    if not path.startswith(("/proc/self/fd/", "/dev/fd/")):
        return
    try:
        real = os.readlink(path)
    except OSError:
        return
    if os.path.isabs(real) and os.path.exists(real):  # not replaced meanwhile
        main.__file__ = real  # type: ignore[union-attr]
        if sys.argv[:1] == [path]:
            sys.argv[0] = real


def is_helper() -> bool:
    """Whether this is a process of multiprocessing, which imports the main module under another name.

    While it does so, it does not know yet that it has a parent, and its own main module is no file.
    """
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None:
        return False
    return multiprocessing.parent_process() is not None or not hasattr(sys.modules.get("__main__"), "__file__")


def watch_lifeline(fd: int) -> None:
    """Has the plugin killed with all its processes as soon as the host is gone, whatever it does at that moment."""
    os.set_inheritable(fd, False)
    leads = os.getpgrp() == os.getpid()
    _kill_at_end(fd, -os.getpid() if leads else os.getpid())

    def read() -> None:
        """Is there for an end that came before the kernel was told."""
        select.select([fd], [], [])
        os.kill(0 if leads else os.getpid(), signal.SIGKILL)

    threading.Thread(target=read, daemon=True).start()


@contextmanager
def bound(start: Callable[[int], subprocess.Popen[Any]]) -> Iterator[subprocess.Popen[Any]]:
    """Starts a program in a session of its own that is killed with its group when this process ends, however that comes.

    ``start`` gets a descriptor that it has to pass on to the program.
    """
    reading, writing = os.pipe()
    try:
        with start(reading) as program:
            _kill_at_end(reading, -program.pid)
            yield program
            fcntl.fcntl(reading, fcntl.F_SETFL, fcntl.fcntl(reading, fcntl.F_GETFL) & ~os.O_ASYNC)
    finally:
        os.close(reading)
        os.close(writing)


def _kill_at_end(fd: int, owner: int) -> None:
    """Has the kernel kill a process, or a group by its negative number, when the other end of a pipe is closed.

    No thread takes part in that, for code in C may keep those of Python from running.
    Only Linux lets the signal be chosen; elsewhere this does nothing.
    """
    if not hasattr(fcntl, "F_SETSIG"):
        return
    fcntl.fcntl(fd, fcntl.F_SETOWN, owner)
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)


def at_fork(forked: Callable[[], None]) -> None:
    """Calls forked in each process that is forked from this one, where no thread of the plugin runs.

    Such a process has to end by a SIGTERM again, by which multiprocessing ends its own; one that came
    before it can do so waits, for Python forgets those at a fork.
    """
    mine = threading.local()

    def before() -> None:
        mine.mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def restore() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mine.mask)

    def after() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        restore()
        forked()

    os.register_at_fork(before=before, after_in_parent=restore, after_in_child=after)
