"""A plugin that was started by hand, and hosts that attach to it."""

import os
import pathlib
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from geomill._codec import encode
from geomill.testing import _follow, _start

PATIENCE = 60.0  # seconds; only a hang takes longer

PLUGIN = """
    import os, signal, threading, time
    from geomill import process, serve

    def workers():
        return sum("_work" in t.name for t in threading.enumerate())

    @process
    def alone() -> int:
        end = time.monotonic() + 30
        while workers() > 1 and time.monotonic() < end:
            time.sleep(0.01)
        return workers()

    @process
    def forks() -> bool:
        child = os.fork()
        if child == 0:
            os._exit(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
        return os.waitpid(child, 0)[1] == 0

    @process
    def waits() -> str:
        time.sleep(3600)  # and listens to nobody
        return ""

    serve(alone, forks, waits, name="attached", version="1.0.0")
    """


@pytest.fixture
def address(tmp_path: pathlib.Path) -> Iterator[str]:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PLUGIN))
    environment = {**os.environ, "GEOMILL_ATTACH": "1"}
    plugin = subprocess.Popen([sys.executable, str(path)], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert plugin.stdout is not None
        yield "unix:" + plugin.stdout.readline().split()[3]
    finally:
        plugin.terminate()
        plugin.wait(PATIENCE)


def info(channel: Any) -> None:
    channel.unary_unary("/geomill.process.v1.ControlService/GetInfo")(b"", timeout=PATIENCE)


def test_a_second_host_is_refused_while_one_is_attached(address: str, tmp_path: pathlib.Path) -> None:
    leave = threading.Event()

    def requests() -> Iterator[bytes]:
        yield encode((1, encode((1, "a"), (2, encode((1, "no such process"))))))
        leave.wait(PATIENCE)

    with grpc.insecure_channel(address) as first, grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as second:
        info(first)
        session = first.stream_stream("/geomill.process.v1.ProcessService/Session")(requests(), timeout=PATIENCE)
        next(session)  # it has begun
        with pytest.raises(grpc.RpcError) as refused:
            info(second)
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "another host is attached" in refused.value.details()
        leave.set()
        session.cancel()
        info(second)


def test_hosts_one_after_the_other_leave_nothing_behind(address: str, tmp_path: pathlib.Path) -> None:
    for _ in range(3):
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            info(channel)
            directory = str(tmp_path / "job")
            assert _follow(channel, _start("alone", directory, {}, None), directory, None, PATIENCE).outputs == {"result": 1}


def test_a_process_that_is_forked_ends_when_it_is_told(address: str, tmp_path: pathlib.Path) -> None:
    with grpc.insecure_channel(address) as channel:
        info(channel)
        directory = str(tmp_path / "job")
        assert _follow(channel, _start("forks", directory, {}, None), directory, None, PATIENCE).outputs == {"result": True}


HOST = """
    import sys, threading
    import grpc
    from geomill._codec import encode

    def requests():
        yield encode((1, encode((1, "a"), (2, encode((1, "waits"))))))
        threading.Event().wait()

    with grpc.insecure_channel(sys.argv[1]) as channel:
        channel.unary_unary("/geomill.process.v1.ControlService/GetInfo")(b"")
        for _ in channel.stream_stream("/geomill.process.v1.ProcessService/Session")(requests()):
            print("attached", flush=True)
    """


def test_a_host_that_was_killed_makes_room_for_the_next(address: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "host.py"
    path.write_text(textwrap.dedent(HOST))
    for _ in range(2):
        with subprocess.Popen([sys.executable, str(path), address], stdout=subprocess.PIPE, text=True) as host:
            try:
                assert host.stdout is not None and host.stdout.readline() == "attached\n"
            finally:
                host.kill()
        end = time.monotonic() + PATIENCE
        while True:
            with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                try:
                    info(channel)
                    break
                except grpc.RpcError:
                    assert time.monotonic() < end, "the host that is gone is still attached"
