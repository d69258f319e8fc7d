"""Runs a process in a test as a host would: over gRPC, by the contract.

    def test_greets():
        result = geomill.testing.run(greet, name="Ada")
        assert result.outputs == {"result": "Hello Ada!"}
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any

from ._codec import Message, encode, repeated
from ._kinds import File
from ._process import Process
from ._server import Plugin, new_server


@dataclasses.dataclass
class Result:
    """What a run produced."""

    #: Outputs by name: JSON, or bytes.
    outputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    #: The client's view of a failure, or "".
    error: str = ""
    #: The faults that the process found: (input, pointer, message).
    faults: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    retryable: bool = False
    #: The HTTP status and the code that the process gave its failure; 0 and "" without.
    status: int = 0
    code: str = ""
    cancelled: bool = False
    progress: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    log: list[str] = dataclasses.field(default_factory=list)


def run(
    process: Process,
    /,
    *,
    outputs: list[str] | None = None,
    settings: Any = None,
    settings_type: Any = None,
    cancel_at: float | None = None,
    timeout: float = 60,
    **inputs: Any,
) -> Result:
    """Runs a process with inputs as a client would write them; a File is a file by reference.

    ``outputs`` selects outputs. ``cancel_at`` cancels the job once it has reported that
    many percent. It raises TimeoutError after ``timeout`` seconds.
    """
    directory = tempfile.mkdtemp(prefix="gm")
    try:
        return _run(Plugin((process,), "test", "1.0.0", settings_type), directory, inputs, outputs, settings, cancel_at, timeout)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run(
    plugin: Plugin,
    directory: str,
    inputs: dict[str, Any],
    outputs: list[str] | None,
    settings: Any,
    cancel_at: float | None,
    timeout: float,
) -> Result:
    import grpc

    server = new_server(plugin)
    address = f"unix:{directory}/s"
    server.add_insecure_port(address)
    server.start()
    try:
        with grpc.insecure_channel(address) as channel:
            call = channel.unary_unary("/geomill.process.v1.ControlService/Configure")
            answer = Message(call(encode((1, json.dumps(settings or {}))), timeout=timeout))
            if problems := answer.messages(1):
                return Result(error=problems[0].text(3))
            job_dir = os.path.join(directory, "job")
            start = _start(next(iter(plugin.processes)), job_dir, inputs, outputs)
            return _follow(channel, start, job_dir, cancel_at, timeout)
    finally:
        plugin.stopping.set()
        server.stop(grace=0.3).wait()


def _start(process_id: str, job_dir: str, inputs: dict[str, Any], outputs: list[str] | None) -> bytes:
    start = encode((1, process_id), (2, 1)) + repeated(3, (_value(job_dir, k, v) for k, v in inputs.items()))
    if outputs is not None:
        start += encode((4, repeated(1, (encode((1, o)) for o in outputs))))
    return start + encode((5, job_dir))


def _value(job_dir: str, name: str, value: Any) -> bytes:
    if not isinstance(value, File):
        return encode((1, json.dumps(value)), (4, "application/json"), (5, name))
    os.makedirs(os.path.join(job_dir, "in"), exist_ok=True)
    shutil.copyfile(value.path, os.path.join(job_dir, "in", name))
    media = value.media_type or "application/octet-stream"
    return encode((3, encode((1, "in/" + name), (2, os.path.getsize(value.path)))), (4, media), (5, name))


def _follow(channel: Any, start: bytes, job_dir: str, cancel_at: float | None, timeout: float) -> Result:
    import grpc

    job_id, result = str(uuid.uuid4()), Result()
    waiting: queue.Queue[bytes | None] = queue.Queue()

    def send(kind: int, body: bytes) -> None:
        waiting.put(encode((1, encode((1, job_id), (kind, body)))))

    def requests() -> Iterator[bytes]:
        while (frame := waiting.get()) is not None:
            yield frame

    send(2, start)
    try:
        for frame in channel.stream_stream("/geomill.process.v1.ProcessService/Session")(requests(), timeout=timeout):
            for m in Message(frame).messages(1):
                if _note(result, m, job_dir):
                    return result
                if cancel_at is not None and result.progress and result.progress[-1][0] >= cancel_at:
                    send(3, encode((1, "the test wants it")))
                    cancel_at = None
    except grpc.RpcError as fault:
        if fault.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise TimeoutError(f"the process did not end within {timeout} s") from None
        raise
    finally:
        waiting.put(None)
    raise RuntimeError("the session ended before the job")


def _note(result: Result, m: Message, job_dir: str) -> bool:
    """Notes a message; reports whether it is the end."""
    if 5 in m:
        result.progress.append((m.message(5).double(1), m.message(5).text(2)))
    elif 6 in m:
        result.log.append(m.message(6).text(2))
    elif 7 in m:
        early = m.message(7)
        result.outputs[early.text(5)] = _content(early, job_dir)
    elif 8 in m:
        result.outputs.update((v.text(5), _content(v, job_dir)) for v in m.message(8).messages(1))
        return True
    elif 9 in m:
        problem = m.message(9).message(1)
        result.error = problem.text(3) or problem.text(2)
        result.faults = [(f.text(1), f.text(2), f.text(3)) for f in problem.messages(4)]
        result.retryable = bool(m.message(9).number(2))
        result.status, result.code = problem.number(5), problem.text(6)
        return True
    elif 10 in m:
        result.cancelled, result.error = True, m.message(10).text(1)
        return True
    return False


def _content(v: Message, job_dir: str) -> Any:
    if 3 in v:
        with open(os.path.join(job_dir, v.message(3).text(1)), "rb") as f:
            data = f.read()
    else:
        data = v.data(1) if 1 in v else v.data(2)
    return json.loads(data) if v.text(4) in ("", "application/json") and 2 not in v else data
