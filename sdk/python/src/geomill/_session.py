"""The session with the host: one stream for all jobs of the instance."""

from __future__ import annotations

import collections
import contextvars
import functools
import json
import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._codec import Message, encode, repeated
from ._errors import Cancelled, Failed, Invalid
from ._job import Job, current
from ._kinds import Misfit
from ._log import line
from ._process import Process
from ._values import load, store

FRAME_BYTES = 512 << 10  # messages that wait travel together until there are this many bytes
QUEUED_EVENTS = 256  # progress and log messages that may wait
ACCEPTED_AFTER = 0.02  # seconds until the host is told that a job was taken, unless its end says so
BUSY = 0.5  # seconds after a message in which the next one is likely
IDLE_WORKERS = 16  # threads that wait for jobs
MAX_TEXT = 16 << 10  # characters of a text

_ACCEPTED, _PROGRESS, _LOG, _OUTPUT, _SUCCEEDED, _FAILED, _CANCELLED = 4, 5, 6, 7, 8, 9, 10  # of PluginMessage
_INVALID_INPUT, _BUSY, _NO_SUCH_PROCESS, _PANIC = 1, 2, 3, 4  # of ProblemKind


class Outbox:
    """What waits to be sent. Only progress and log messages are left out, so it is bounded by the jobs.

    One thread takes. It is woken only when it sleeps and there is something for it, for
    each time costs as much as a short job.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._waiting: collections.deque[bytes] = collections.deque()
        self._quiet: collections.deque[tuple[float, Sender]] = collections.deque()  # jobs that nothing was sent about
        self._asleep = False
        self._napping = False  # asleep, but for a moment only
        self._closed = False

    def put(self, data: bytes, *, may_drop: bool = False) -> bool:
        """Queues a message; one that may be dropped is when there are too many."""
        with self._lock:
            if self._closed or may_drop and len(self._waiting) >= QUEUED_EVENTS:
                return False
            self._waiting.append(data)
            self._rouse()
            return True

    def began(self, sender: Sender) -> None:
        """Says that a job was taken, unless something else is said about it soon."""
        with self._lock:
            self._quiet.append((time.monotonic() + ACCEPTED_AFTER, sender))
            if not self._napping:
                self._rouse()

    def take(self) -> list[bytes]:
        """Waits for messages; an empty list means that the session is over."""
        busy_until = time.monotonic() + BUSY
        while True:
            with self._lock:
                if self._waiting or self._closed:
                    return self._frame()
                now = time.monotonic()
                due = []
                while self._quiet and self._quiet[0][0] <= now:
                    due.append(self._quiet.popleft()[1])
                if not due:
                    self._napping = bool(self._quiet) or now < busy_until
                    self._asleep = True
            if due:
                for sender in due:
                    sender.accepted()
                continue
            try:
                self._wake.get(timeout=ACCEPTED_AFTER if self._napping else None)
            except queue.Empty:
                with self._lock:
                    if not self._asleep:  # woken since
                        self._wake.get()
                    self._asleep = self._napping = False

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._rouse()

    def _rouse(self) -> None:
        if self._asleep:
            self._asleep = self._napping = False
            self._wake.put(None)

    def _frame(self) -> list[bytes]:
        frame: list[bytes] = []
        size = 0
        while self._waiting and size < FRAME_BYTES:
            frame.append(self._waiting.popleft())
            size += len(frame[-1])
        return frame


class Sender:
    """Numbers the messages of one job. It is what a Job reports to."""

    def __init__(self, job_id: str, outbox: Outbox) -> None:
        self._id, self._outbox = job_id, outbox
        self._lock = threading.Lock()
        self._seq = self._dropped = 0
        self._over = False

    def _send(self, kind: int, body: bytes, may_drop: bool = False) -> bool:
        self._seq += 1
        now = () if self._over else ((3, encode(*zip((1, 2), divmod(time.time_ns(), 10**9)))),)
        return self._outbox.put(encode((1, self._id), (2, self._seq), *now, (kind, body)), may_drop=may_drop)

    def accepted(self) -> None:
        """Says that the job was taken, if nothing else has said so."""
        with self._lock:
            if self._seq == 0:
                self._send(_ACCEPTED, b"")

    def progress(self, percent: float, message: str) -> None:
        with self._lock:
            if not self._over:
                self._send(_PROGRESS, encode((1, float(percent)), (2, message[:4096])), may_drop=True)

    def log(self, level: int, message: str, fields: Mapping[str, Any] | None) -> None:
        rank = 1 if level < logging.INFO else 2 if level < logging.WARNING else 3 if level < logging.ERROR else 4
        said = json.dumps(fields, default=str).encode() if fields else b""
        if len(said) > 2 * MAX_TEXT:
            said = b""
        with self._lock:
            if self._over:
                return
            body = encode((1, rank), (2, message[:MAX_TEXT]), (3, said), (4, self._dropped))
            self._dropped = 0 if self._send(_LOG, body, may_drop=True) else self._dropped + 1

    def output(self, value: bytes) -> None:
        """Sends an output before the end."""
        with self._lock:
            if not self._over:
                self._send(_OUTPUT, value)

    def end(self, kind: int, body: bytes) -> None:
        with self._lock:
            self._over = True
            self._send(kind, body)


class Apart:
    """What a job reports to in a process that was forked from the plugin: only the plugin itself speaks to the host."""

    def progress(self, percent: float, message: str) -> None:
        pass

    def log(self, level: int, message: str, fields: Mapping[str, Any] | None) -> None:
        print(line(level, message, "geomill.job", fields or {}), file=sys.stderr, flush=True)


class Workers:
    """Threads that jobs run in, kept for the next ones: to start a thread takes as long as a short job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = 0
        self._closed = False

    def run(self, task: Callable[[], None]) -> None:
        """Runs a task at once, in a thread that waits or a new one."""
        with self._lock:
            if self._idle:
                self._idle -= 1
                self._tasks.put(task)
                return
        threading.Thread(target=self._work, args=(task,), daemon=True).start()

    def close(self) -> None:
        """Ends the threads, each when its task is done."""
        with self._lock:
            self._closed = True
            for _ in range(self._idle):
                self._tasks.put(None)
            self._idle = 0

    def _work(self, task: Callable[[], None] | None) -> None:
        while task is not None:
            task()
            with self._lock:
                if self._closed or self._idle >= IDLE_WORKERS:
                    return
                self._idle += 1
            del task  # and what it holds
            task = self._tasks.get()


def _problem(
    kind: int, title: str, detail: str = "", faults: bytes = b"", retryable: bool = False, status: Any = 0, code: Any = ""
) -> tuple[int, bytes]:
    """Makes an end. Of a status and a code of other types than they should have nothing is told."""
    told = (5, status if isinstance(status, int) and 400 <= status <= 599 else 0), (6, code if isinstance(code, str) else "")
    p = encode((1, kind), (2, title), (3, detail[:MAX_TEXT])) + faults + encode(*told)
    return _FAILED, encode((1, p), (2, bool(retryable)))


def _allowance(fault: PermissionError) -> str:
    """What an operator can do about a refusal; "" if the sandbox is hardly the reason."""
    path = str(fault.filename or "")
    if path.startswith(("/psm_", "/mp-", "/sem")) or not path and "multiprocessing.synchronize" in sys.modules:
        path = "/dev/shm"  # where shared memory and semaphores are; the latter do not tell their names
    if not path.startswith("/"):
        return ""
    return f"perhaps the sandbox refuses that: below plugin-config, read: [{path}] lets a plugin read it, write: [{path}] change it"


class Jobs:
    """The jobs of an instance."""

    def __init__(self, processes: Mapping[str, Process]) -> None:
        self.processes = processes
        self.settings: Any = None
        self.max_jobs, self.inline_max = 0, 256 << 10
        self._changed = threading.Condition()
        self._jobs: dict[str, tuple[Job, Outbox]] = {}
        self._draining = False
        self._outbox: Outbox | None = None
        self._workers = Workers()

    def count(self) -> int:
        with self._changed:
            return len(self._jobs)

    @property
    def draining(self) -> bool:
        return self._draining

    def drain(self, seconds: float) -> int:
        """Takes no more jobs, and waits for those that run. It returns how many are left."""
        with self._changed:
            self._draining = True
            self._changed.wait_for(lambda: not self._jobs, seconds)
            return len(self._jobs)

    def forked(self) -> None:
        """Cuts the jobs off from the session, in a process where no thread sends and locks may be held for ever."""
        for job, _ in self._jobs.values():
            job._reports = Apart()

    def begin(self, outbox: Outbox) -> bool:
        """Makes outbox that of the session; there can be one at a time."""
        with self._changed:
            if self._outbox is not None:
                return False
            self._outbox = outbox
            return True

    def vacant(self, seconds: float) -> bool:
        """Waits until there is no session; reports whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: self._outbox is None, seconds)

    def close(self, reason: str) -> None:
        """Ends all there is, for good."""
        self.end(None, reason)
        self._workers.close()

    def frames(self, outbox: Outbox) -> Iterator[bytes]:
        while frame := outbox.take():
            yield repeated(1, frame)

    def receive(self, requests: Iterator[bytes], outbox: Outbox, active: Callable[[], bool]) -> None:
        """Obeys the host until the session is over."""
        try:
            for frame in requests:
                for instruction in Message(frame).messages(1):
                    self._obey(instruction, outbox)
        except Exception:
            if active():
                raise
        finally:
            self.end(outbox, "the session ended")

    def end(self, outbox: Outbox | None, reason: str) -> None:
        """Ends a session, or with None all of them, and its jobs."""
        with self._changed:
            for job, out in self._jobs.values():
                if outbox is None or out is outbox:
                    job._cancel(reason)
            if outbox is None:
                outbox = self._outbox
            if outbox is self._outbox:
                self._outbox = None
                self._changed.notify_all()
        if outbox is not None:
            outbox.close()

    def _obey(self, instruction: Message, outbox: Outbox) -> None:
        job_id = instruction.text(1)
        with self._changed:
            running = self._jobs.get(job_id)
            if 3 in instruction and running:
                running[0]._cancel(instruction.message(3).text(1))
            if 2 not in instruction or running:
                return  # an instruction of a later contract, or a job that runs already
            start, sender = instruction.message(2), Sender(job_id, outbox)
            process = self.processes.get(start.text(1))
            if self._draining or self.max_jobs and len(self._jobs) >= self.max_jobs:
                sender.end(*_problem(_BUSY, "the instance takes no more jobs", retryable=True))
                return
            if process is None:
                sender.end(*_problem(_NO_SUCH_PROCESS, f"no process {start.text(1)}"))
                return
            job = self._job(job_id, start, sender)
            job._deliver = functools.partial(self._deliver, job, process, sender)
            self._jobs[job_id] = job, outbox
        outbox.began(sender)
        self._workers.run(functools.partial(self._run, job, process, start, sender))

    def _job(self, job_id: str, start: Message, sender: Sender) -> Job:
        wanted = {o.text(1): o.text(2) for o in start.message(4).messages(1)} if 4 in start else None
        return Job(
            job_id,
            sender,
            attempt=start.number(2),
            directory=start.text(5),
            checkpoint=start.text(8),
            wanted=wanted,
            settings=self.settings,
        )

    def _run(self, job: Job, process: Process, start: Message, sender: Sender) -> None:
        try:
            end = contextvars.copy_context().run(self._outcome, job, process, start)
        except BaseException as fault:  # what it raised cannot be told, such as one whose __str__ raises
            logging.getLogger("geomill").error("%s", traceback.format_exc().rstrip())
            end = _problem(_PANIC, "the process raised an exception", type(fault).__name__)
        with self._changed:  # the host may send the next job as soon as it reads the end of this one
            del self._jobs[job.id]
            self._changed.notify_all()
        sender.end(*end)

    def _outcome(self, job: Job, process: Process, start: Message) -> tuple[int, bytes]:
        current.set(job)
        try:
            return _SUCCEEDED, repeated(1, self._execute(job, process, start))
        except Cancelled as cause:
            return _CANCELLED, encode((1, str(cause)))
        except Invalid as wrong:
            faults = repeated(4, (encode((1, i), (2, at), (3, said[:MAX_TEXT])) for i, at, said in wrong.faults[:1000]))
            return _problem(_INVALID_INPUT, "invalid inputs", faults=faults)
        except Failed as fault:
            return _problem(0, "the process failed", str(fault), retryable=fault.retryable, status=fault.status, code=fault.code)
        except BaseException as fault:  # SystemExit too: only the host ends an instance
            logging.getLogger("geomill").error("%s", traceback.format_exc().rstrip())
            if isinstance(fault, PermissionError) and (advice := _allowance(fault)):
                logging.getLogger("geomill").warning("%s", advice)
            return _problem(_PANIC, "the process raised an exception", f"{type(fault).__name__}: {fault}")

    def _execute(self, job: Job, process: Process, start: Message) -> list[bytes]:
        kinds = {m.name: m.kind for m in process.inputs}
        values, faults = {}, []
        for v in start.messages(3):
            name = v.text(5)
            try:
                values[name] = load(job, v, kinds.get(name))
            except Misfit as fault:
                faults.append(Invalid(name, str(fault), fault.pointer))
        if faults:
            raise Invalid.all(faults)
        outputs = process.call(job, values)
        kinds = {m.name: m.kind for m in process.outputs}
        left = {k: v for k, v in outputs.items() if job.wants(k) and k not in job._delivered}
        return [store(job, k, v, kinds[k], self.inline_max) for k, v in left.items()]

    def _deliver(self, job: Job, process: Process, sender: Sender, name: str, value: Any) -> None:
        """Sends an output before the end."""
        kind = process.output(name).kind
        if job.wants(name):
            sender.output(store(job, name, value, kind, self.inline_max))
