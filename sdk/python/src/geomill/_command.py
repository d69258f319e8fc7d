"""A plugin that is started by hand."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from ._errors import Cancelled, Failed, Invalid
from ._job import Job, current
from ._kinds import File, dump_any
from ._process import Process
from ._server import Plugin
from ._values import to_json, with_path

_USAGE = """{name} {version} is a plugin for a Geomill host: put it into the host's plugins directory.
By hand:

  describe              print the descriptions of its processes as JSON
  run [PROCESS] FILE    run a process with the inputs in FILE, a JSON object
                        (- reads standard input), and print its outputs as JSON
  version               print name and version
  help                  print this text

Exit status: 0 done, 1 the process failed, 2 wrong arguments or inputs.
"""


class _Wrong(Exception):
    """A fault of whoever typed the command."""


class _Console:
    """Reports of a job, for the terminal."""

    def progress(self, percent: float, message: str) -> None:
        print(f"{percent:3.0f} % {message}".rstrip(), file=sys.stderr)

    def log(self, level: int, message: str, fields: Mapping[str, Any] | None) -> None:
        print(logging.getLevelName(level), message, *(f"{k}={v}" for k, v in (fields or {}).items()), file=sys.stderr)


def command(plugin: Plugin, args: list[str]) -> int:
    """Executes a command line and returns the exit code."""
    try:
        return _command(plugin, args)
    except _Wrong as fault:
        print(f"{plugin.name}: {fault}", file=sys.stderr)
        return 2


def _command(plugin: Plugin, args: list[str]) -> int:
    usage = _USAGE.format(name=plugin.name, version=plugin.version)
    if not args:
        print(usage, end="", file=sys.stderr)
        return 2
    if args[0] in ("help", "--help", "-h"):
        print(usage, end="")
    elif args[0] in ("version", "--version"):
        print(plugin.name, plugin.version)
    elif args[0] == "describe":
        print(json.dumps(plugin.describe(), indent=2))
    elif args[0] == "run":
        return _run(plugin, args[1:])
    else:
        raise _Wrong(f"unknown command {args[0]!r}; try help")
    return 0


def _run(plugin: Plugin, args: list[str]) -> int:
    *named, source = args if args else [""]
    if not source or len(named) > 1:
        raise _Wrong("run needs the name of a file with inputs, or -")
    if not named and len(plugin.processes) > 1:
        raise _Wrong("run needs the id of a process: " + ", ".join(plugin.processes))
    process = plugin.processes.get(named[0]) if named else next(iter(plugin.processes.values()))
    if process is None:
        raise _Wrong(f"no process {named[0]!r}; there are " + ", ".join(plugin.processes))
    inputs = _inputs(process, source)
    directory = tempfile.mkdtemp(prefix="geomill-")
    try:
        return _execute(process, Job("by-hand", _Console(), directory=directory), inputs)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _inputs(process: Process, source: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if source == "-" else open(source, encoding="utf-8").read()
        values = json.loads(text)
    except OSError as fault:
        raise _Wrong(f"cannot read {source}: {fault.strerror}") from None
    except ValueError as fault:
        raise _Wrong(f"{source} is not JSON: {fault}") from None
    if not isinstance(values, dict):
        raise _Wrong("inputs must be a JSON object")
    known = {m.name: m for m in process.inputs}
    if strange := sorted(set(values) - set(known)):
        raise _Wrong(f"no input {strange[0]!r}; there are " + ", ".join(known))
    for name, value in values.items():
        if known[name].kind.is_file:  # by hand, the path of a file
            if not os.path.isfile(str(value)):
                raise _Wrong(f"input {name}: no file {value!r}")
            values[name] = File(value, known[name].kind.media_type)
    return values


def _execute(process: Process, job: Job, inputs: dict[str, Any]) -> int:
    from ._log import Handler

    logging.basicConfig(handlers=[Handler()], level=logging.INFO, force=True)
    current.set(job)
    kinds = {m.name: m.kind for m in process.outputs}
    early: dict[str, Any] = {}

    def deliver(name: str, value: Any) -> None:
        early[process.output(name).name] = value

    job._deliver = deliver
    try:
        outputs = {**process.call(job, inputs), **early}
    except Invalid as wrong:
        for name, pointer, message in wrong.faults:
            print(f"input {name}{pointer}: {message}", file=sys.stderr)
        return 2
    except (Failed, Cancelled) as fault:
        print(fault, file=sys.stderr)
        return 1
    shown = {}
    for k, v in outputs.items():
        v = with_path(v, kinds[k])
        if isinstance(v, File):
            kept = os.path.basename(os.fspath(v.path))
            shutil.copyfile(v.path, kept)
            shown[k] = {"file": kept, "mediaType": v.media_type or kinds[k].media_type}
        else:
            shown[k] = json.loads(to_json(k, v, kinds[k])) if not isinstance(v, bytes) else dump_any(v)
    print(json.dumps(shown, indent=2))
    return 0

