"""The plugin: its services, and the handshake with the host that started it."""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import json
import logging
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

from ._codec import Message, encode, repeated
from ._family import at_fork, is_helper, own_name, watch_lifeline
from ._kinds import Kind, Misfit, kind_of
from ._process import Process
from ._session import Jobs, Outbox

COOKIE_NAME, COOKIE = "GEOMILL_PLUGIN", "b1c0fd1e6a0f4a7ab35f6d3c9a4e52e7"
PROTOCOL_VERSIONS = {1}
MAX_MESSAGE_BYTES = 16 << 20
SDK = "python/0.1.0"
_THREADS = 16  # open streams of the host hold some
EXIT_UNFIT = 78  # of a plugin that cannot be served and has said why
_STOP = 0.3  # seconds for the last messages
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*$")


_spoken = False  # whether serve was called, or it was said why that cannot be


class Plugin:
    """What the host asks a plugin. Methods take and return encoded messages."""

    def __init__(self, processes: tuple[Process, ...], name: str, version: str, settings: Any = None) -> None:
        if not _NAME.match(name):
            raise ValueError(f"{name!r} is no name of a plugin: it may have lower case letters, digits and . _ -")
        if not processes:
            raise ValueError("no processes: call serve with at least one")
        for p in processes:
            if not isinstance(p, Process):
                raise TypeError(f"{getattr(p, '__name__', repr(p))} is not a process: write @process above it")
        self.name, self.version = name, version
        self.processes = {p.id: p for p in processes}
        if len(self.processes) < len(processes):
            ids = [p.id for p in processes]
            twice = next(i for i in ids if ids.count(i) > 1)
            raise ValueError(f"two processes have the id {twice!r}: give one another, as in @process(id=...)")
        self.jobs = Jobs(self.processes)
        self.stopping = threading.Event()
        self._settings_type = settings
        self._instance = os.urandom(16).hex()

    def describe(self) -> dict[str, Any]:
        """The name, the version and the descriptions of the processes."""
        descriptions = [{"version": self.version, **p.description} for p in self.processes.values()]
        return {"name": self.name, "version": self.version, "processes": descriptions}

    def settings_kind(self) -> Kind | None:
        return None if self._settings_type is None else kind_of(self._settings_type)

    def get_info(self, request: bytes, context: Any) -> bytes:
        info = encode((1, self.name), (2, self.version), (3, SDK), (4, "cancel.graceful"), (5, self._instance))
        if kind := self.settings_kind():
            info += encode((6, json.dumps(kind.schema)))
        return info

    def configure(self, request: bytes, context: Any) -> bytes:
        asked = Message(request)
        limits = asked.message(2)
        self.jobs.max_jobs = limits.number(1)
        self.jobs.inline_max = limits.number(2) or self.jobs.inline_max
        kind = self.settings_kind()
        if kind is None:
            return b""
        try:
            self.jobs.settings = kind.load(json.loads(asked.data(1) or b"{}"))
        except (Misfit, ValueError, TypeError) as fault:
            wrong = encode((2, getattr(fault, "pointer", "")), (3, str(fault)))
            return encode((1, encode((1, 1), (2, "invalid settings"), (3, str(fault)), (4, wrong))))
        return b""

    def check(self, request: bytes, context: Any) -> bytes:
        return encode((1, not self.jobs.draining), (2, self.jobs.count()))

    def drain(self, request: bytes, context: Any) -> bytes:
        deadline = Message(request).message(1)
        return encode((1, self.jobs.drain(min(deadline.number(1) + deadline.number(2) / 1e9, 86400))))

    def list_processes(self, request: bytes, context: Any) -> bytes:
        descriptions = self.describe()["processes"]
        policies = [p.policy for p in self.processes.values()]
        return repeated(
            1, (encode((1, json.dumps(d)), (2, encode(*p.fields()))) for d, p in zip(descriptions, policies, strict=True))
        )

    def session(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        import grpc

        outbox = Outbox()
        if not self.jobs.begin(outbox):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the instance has a session already")
        context.add_callback(outbox.close)
        receive = (requests, outbox, context.is_active)
        threading.Thread(target=self.jobs.receive, args=receive, daemon=True).start()
        yield from self.jobs.frames(outbox)

    def shutdown(self, request: bytes, context: Any) -> bytes:
        self.stopping.set()
        return b""

    def hold(self, request: Any, context: Any) -> Iterator[bytes]:
        """A stream of go-plugin's own with nothing to say; it stays open."""
        self.stopping.wait()
        return iter(())


def new_server(plugin: Plugin) -> Any:
    """Makes the gRPC server of a plugin."""
    # Its handlers of forks do nothing but write lines while threads serve.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        import grpc  # here, so that describe and version work without it
    except ImportError as fault:
        cannot_serve(
            f"its Python, {sys.executable}, has no usable package grpcio ({fault}): "
            f"install it there ({sys.executable} -m pip install grpcio), or name another Python in the first line"
        )
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    services = {
        "geomill.process.v1.ControlService": {
            "GetInfo": unary(plugin.get_info),
            "Configure": unary(plugin.configure),
            "Check": unary(plugin.check),
            "Drain": unary(plugin.drain),
        },
        "geomill.process.v1.ProcessService": {
            "ListProcesses": unary(plugin.list_processes),
            "Session": stream(plugin.session),
        },
        "grpc.health.v1.Health": {"Check": unary(lambda request, context: encode((1, 1)))},
        "plugin.GRPCController": {"Shutdown": unary(plugin.shutdown)},
        "plugin.GRPCStdio": {"StreamStdio": grpc.unary_stream_rpc_method_handler(plugin.hold)},
        "plugin.GRPCBroker": {"StartStream": stream(plugin.hold)},
    }
    limits = [(f"grpc.max_{way}_message_length", MAX_MESSAGE_BYTES) for way in ("receive", "send")]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=_THREADS), options=limits)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(*s) for s in services.items()])
    return server


def _host(plugin: Plugin) -> None:
    """Serves the host until it says to stop."""
    from ._log import Handler

    # The first line on stdout is the handshake; print() and libraries write to stderr from now on.
    stdout = os.dup(1)
    os.dup2(2, 1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    logging.basicConfig(handlers=[Handler()], level=logging.INFO, force=True)
    # In a thread, since the signal may have interrupted the event's own wait().
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=plugin.stopping.set).start())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host, which then ends us
    if fd := os.environ.get("GEOMILL_LIFELINE_FD"):
        watch_lifeline(int(fd))
    at_fork(plugin.jobs.forked)

    offered = {int(v) for v in os.environ.get("PLUGIN_PROTOCOL_VERSIONS", "1").split(",")}
    version = max(offered & PROTOCOL_VERSIONS, default=max(PROTOCOL_VERSIONS))  # the host refuses the latter
    folder = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or tempfile.mkdtemp()
    path = os.path.join(folder, f"plugin{os.getpid()}")
    server = new_server(plugin)
    server.add_insecure_port("unix:" + path)
    server.start()
    del os.environ[COOKIE_NAME]  # what jobs start is started by no host
    os.write(stdout, f"1|{version}|unix|{path}|grpc|\n".encode())
    os.close(stdout)

    plugin.stopping.wait()
    plugin.jobs.end(None, "the instance shuts down")
    server.stop(grace=_STOP).wait()
    if os.path.exists(path):
        os.unlink(path)
    logging.shutdown()
    os._exit(0)  # threads of jobs that do not listen would hold up the end


def _hosted() -> bool:
    """Whether a host started this program, rather than a person or another program."""
    return os.environ.get(COOKIE_NAME) == COOKIE


def cannot_serve(*faults: str) -> NoReturn:
    """Ends a program that cannot be served as it is, and tells the operator why.

    Each fault is a line that says what is wrong and what to do.
    """
    global _spoken
    _spoken = True
    if not _hosted():
        sys.exit("\n".join(faults))
    print(*faults, sep="\n", file=sys.stderr)
    sys.exit(EXIT_UNFIT)


def serve(*processes: Process, name: str, version: str, settings: Any = None) -> None:
    """Serves processes to the host that started this program; call it last.

    ``settings`` is a dataclass, TypedDict or model of pydantic for what the operator
    sets, which jobs find in ``Job.settings``. Started by hand the program describes
    its processes and runs them: try ``help``. In processes of multiprocessing it does nothing.
    """
    global _spoken
    _spoken = True
    if is_helper():
        return
    plugin = Plugin(processes, name, version, settings)
    if _hosted():
        _host(plugin)
        return
    if os.environ.get("GEOMILL_ATTACH"):
        from ._attach import Attached, serve_attached

        serve_attached(Attached(processes, name, version, settings))
        return
    from ._command import command

    sys.exit(command(plugin, sys.argv[1:]))


def _began() -> None:
    """What there is to do in a program that a host has started as soon as it imports this package."""
    if not _hosted() or is_helper():
        return
    own_name()
    atexit.register(_idle, os.getpid())


def _idle(pid: int) -> None:
    if _spoken or hasattr(sys, "last_value") or os.getpid() != pid:
        return
    with contextlib.suppress(Exception):  # it may have closed its streams
        sys.stdout.flush()
    with contextlib.suppress(Exception):
        print("it ended without serving anything: call serve(...) last", file=sys.stderr, flush=True)
    os._exit(EXIT_UNFIT)  # what is called at the end cannot set the status


_began()
