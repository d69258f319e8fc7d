"""The plugin as a process: what it starts, and what starts it."""

import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from geomill import Job, process, serve
from geomill._server import COOKIE, COOKIE_NAME, EXIT_UNFIT
from geomill._session import _allowance
from geomill.testing import _follow, _start, run

PATIENCE = 60.0  # seconds; only a hang takes longer


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except FileNotFoundError:
        return True


def program(tmp_path: pathlib.Path, text: str) -> pathlib.Path:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    return path


def test_the_programs_of_a_job_end_with_the_plugin_however_it_ends(tmp_path: pathlib.Path) -> None:
    path = program(tmp_path, """
        import sys
        from geomill._job import Job
        Job("1", None).run(["sh", "-c", f"sleep 600 & echo $! $$ > {sys.argv[1]}.part; mv {sys.argv[1]}.part {sys.argv[1]}; wait"])
        """)
    noted = tmp_path / "pids"
    plugin = subprocess.Popen([sys.executable, str(path), str(noted)])
    try:
        eventually(noted.exists)
    finally:
        plugin.kill()
        plugin.wait()
    for pid in map(int, noted.read_text().split()):
        eventually(lambda pid=pid: gone(pid))


def test_the_plugin_ends_with_its_host_while_no_thread_of_python_runs(tmp_path: pathlib.Path) -> None:
    path = program(tmp_path, """
        import re, sys
        from geomill._family import watch_lifeline
        watch_lifeline(int(sys.argv[1]))
        print("begun", flush=True)
        re.match(r"(a+)+$", "a" * 64 + "b")
        """)
    reading, writing = os.pipe()
    plugin = subprocess.Popen([sys.executable, str(path), str(reading)], pass_fds=[reading], stdout=subprocess.PIPE, start_new_session=True)
    try:
        os.close(reading)
        assert plugin.stdout is not None and plugin.stdout.readline() == b"begun\n"
        os.close(writing)
        assert plugin.wait(PATIENCE) == -signal.SIGKILL
    finally:
        plugin.kill()
        plugin.wait()


def test_what_a_program_leaves_behind_in_good_order_stays() -> None:
    @process
    def starts(job: Job) -> int:
        return int(job.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], capture_output=True).stdout)

    pid = run(starts).outputs["result"]
    try:
        assert not gone(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_programs_of_jobs_run_where_the_kernel_sends_no_chosen_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fcntl, "F_SETSIG")

    @process
    def said(job: Job) -> str:
        return job.run(["echo", "a"], capture_output=True, text=True).stdout.strip()

    assert run(said).outputs == {"result": "a"}


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_end_when_they_are_told(tmp_path: pathlib.Path, how: str) -> None:
    path = program(tmp_path, f"""
        import multiprocessing, signal
        from geomill import process, serve
        from geomill._family import at_fork

        @process
        def nothing() -> str:
            return ""

        def more(x):
            return x + 1

        def work():
            signal.signal(signal.SIGTERM, lambda *_: None)
            at_fork(lambda: None)
            for _ in range(3):
                with multiprocessing.get_context({how!r}).Pool(2) as pool:
                    assert pool.map(more, [1, 2]) == [2, 3]
            print("worked")

        if multiprocessing.current_process().name == "MainProcess":
            work()
        else:
            serve(nothing, name="nothing", version="1.0.0")
        """)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout == "worked\n", done.stderr


def test_a_refusal_of_the_sandbox_says_what_the_operator_can_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    def allowance(path: str) -> str:
        return _allowance(PermissionError(13, "Permission denied", path or None))

    monkeypatch.setitem(sys.modules, "multiprocessing.synchronize", sys)
    for path, allowed in {
        "/srv/dem/a.tif": "read: [/srv/dem/a.tif]",
        "/psm_1": "write: [/dev/shm]",
        "/mp-a1": "write: [/dev/shm]",
        "/data": "read: [/data]",
        "": "write: [/dev/shm]",
    }.items():
        assert allowed in allowance(path), path
    monkeypatch.delitem(sys.modules, "multiprocessing.synchronize")
    for path in "", "a.tif", "./tool", "dem/a/b.tif":  # such as a port below 1024, or a program that may not be executed
        assert allowance(path) == "", path


def test_what_is_no_process_is_not_served() -> None:
    def plain() -> str:
        return ""

    @process(id="same")
    def one() -> str:
        return ""

    with pytest.raises(TypeError, match="plain is not a process: write @process"):
        serve(plain, name="a", version="1.0.0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two processes have the id 'same'"):
        serve(one, one, name="a", version="1.0.0")
    with pytest.raises(ValueError, match="no processes: call serve"):
        serve(name="a", version="1.0.0")


HOSTED = {**os.environ, COOKIE_NAME: COOKIE}


def ended(path: pathlib.Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, **options)


@pytest.mark.parametrize("end, status", [("", 0), ("sys.exit(3)", 3), ("sys.exit('no')", 1), ("1 / 0", 1)])
def test_a_program_that_no_host_started_keeps_its_exit_status(tmp_path: pathlib.Path, end: str, status: int) -> None:
    done = ended(program(tmp_path, f"""
        import sys
        import geomill
        {end}
        """))
    assert done.returncode == status
    assert "serve" not in done.stderr


def test_a_program_that_serves_nothing_tells_its_host() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import geomill; print('said')"], env=HOSTED, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == EXIT_UNFIT
    assert done.stdout == "said\n"  # though it was still to be written
    assert done.stderr == "it ended without serving anything: call serve(...) last\n"


@pytest.mark.parametrize("close", ["sys.stdout.close()", "sys.stderr.close()", "sys.stdout = sys.stderr = None"])
def test_a_program_without_streams_that_serves_nothing_has_the_same_status(tmp_path: pathlib.Path, close: str) -> None:
    done = ended(program(tmp_path, f"""
        import sys
        import geomill
        {close}
        """), env=HOSTED)
    assert done.returncode == EXIT_UNFIT, done.stderr


def test_a_program_without_its_packages_tells_its_host(tmp_path: pathlib.Path) -> None:
    done = ended(program(tmp_path, """
        import sys
        sys.modules["grpc"] = None
        from geomill import process, serve

        @process
        def one() -> int:
            return 1

        serve(one, name="one", version="1.0.0")
        """), env=HOSTED)
    assert done.returncode == EXIT_UNFIT
    assert "has no usable package grpcio" in done.stderr
    assert done.stderr.count("\n") == 1  # all of it is in the host's list


def test_an_exception_before_serve_is_told_alone(tmp_path: pathlib.Path) -> None:
    done = ended(program(tmp_path, """
        import geomill
        1 / 0
        """), env=HOSTED)
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_program_that_a_job_starts_is_started_by_no_host(tmp_path: pathlib.Path) -> None:
    path = program(tmp_path, """
        import subprocess, sys
        from geomill import process, serve

        @process
        def status() -> int:
            return subprocess.run([sys.executable, "-c", "import geomill, sys; sys.exit(3)"]).returncode

        serve(status, name="starts", version="1.0.0")
        """)
    environment = {**HOSTED, "PLUGIN_UNIX_SOCKET_DIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, str(path)], env=environment, stdout=subprocess.PIPE, text=True) as plugin:
        try:
            assert plugin.stdout is not None
            with grpc.insecure_channel("unix:" + plugin.stdout.readline().split("|")[3]) as channel:
                directory = str(tmp_path / "job")
                done = _follow(channel, _start("status", directory, {}, None), directory, None, PATIENCE)
                assert done.outputs == {"result": 3}
        finally:
            plugin.kill()
