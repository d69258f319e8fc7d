"""A processor of pygeoapi as a process."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from geomill import Data, Failed, File, Job, Process, raw

from . import _shim
from ._configuration import Processor, Wrong
from ._description import describe

_LOG = logging.getLogger("geomill_pygeoapi")


def load(processor: Processor) -> Process:
    """Imports a processor and makes a process of it. It raises Wrong, with what to do."""
    name = processor.definition["name"]
    path = name if "." in name else _shim.KNOWN.get(name)
    if path is None:
        raise Wrong(f"{processor.id}: there is no processor {name}; give its package.module.Class")
    shimmed = _shim.install()
    package, _, class_name = path.rpartition(".")
    try:
        module = importlib.import_module(package)
        if not hasattr(module, class_name):
            raise Wrong(f"{processor.id}: {package} has no class {class_name}")
        made = getattr(module, class_name)(processor.definition)
    except ImportError as fault:
        needed = "install pygeoapi" if shimmed and str(fault.name).startswith("pygeoapi") else "install it"
        raise Wrong(f"{processor.id}: cannot import {path}: {fault}; {needed} for the interpreter of this plugin") from None
    except Wrong:
        raise
    except Exception as fault:  # whatever its constructor does
        raise Wrong(f"{processor.id}: {class_name} cannot be made: {type(fault).__name__}: {fault}") from fault
    if not isinstance(getattr(made, "metadata", None), dict):
        raise Wrong(f"{processor.id}: {class_name} has no metadata: its constructor has to give a dictionary to that of BaseProcessor")
    try:
        description = describe(processor.id, made.metadata)
    except (AttributeError, TypeError, ValueError) as fault:
        raise Wrong(f"{processor.id}: the metadata of {class_name} cannot be read: {fault}") from fault

    def execute(job: Job, inputs: dict[str, Any]) -> dict[str, Any]:
        return _execute(made, description["outputs"], job, inputs)

    try:
        return raw(description, execute, **processor.policy)
    except (TypeError, ValueError) as fault:
        raise Wrong(f"{processor.id}: {fault}") from fault


def _execute(processor: Any, outputs: dict[str, Any], job: Job, inputs: dict[str, Any]) -> dict[str, Any]:
    processor.set_job_id(job.id)
    wanted: dict[str, dict[str, Any]] = {k: {} for k in outputs if job.wants(k)}
    selected = {} if len(wanted) == len(outputs) else {"outputs": wanted}
    given = {k: _content(v) if isinstance(v, File) else v for k, v in inputs.items()}
    try:
        returned = processor.execute(given, **(selected if processor.supports_outputs else {}))
    except Exception as fault:
        raise _failure(fault) from fault
    if not isinstance(returned, (tuple, list)) or len(returned) != 2 or not isinstance(returned[0] or "", str):
        raise TypeError(f"{type(processor).__name__}.execute returned {repr(returned)[:100]}, not a media type and a result")
    media_type, result = returned[0] or "application/json", returned[1]
    return named(media_type, result, outputs)


def _content(file: File) -> str:
    """Bytes come to a processor as they were in the request."""
    import base64

    with open(file.path, "rb") as f:
        return base64.b64encode(f.read()).decode()


def _failure(fault: Exception) -> Exception:
    """What a client is told: errors of pygeoapi have a status, and maybe a text for users."""
    status = getattr(fault, "http_status_code", None)
    if status is None:
        return fault
    text = getattr(fault, "user_msg", None) or str(fault) or getattr(fault, "default_msg", "")
    code = str(getattr(fault, "ogc_exception_code", "NoApplicableCode"))
    _LOG.warning("%s (%s)", fault, code)
    return Failed(str(text), status=int(status), code=code)


def named(media_type: str, result: Any, outputs: dict[str, Any]) -> dict[str, Any]:
    """Finds the outputs in what a processor returned.

    There are bytes and text of a media type, an entry with ``id`` and ``value``, a list of these,
    a mapping by name, each of them perhaps as ``{"outputs": ...}``, and else the value of the one output.
    """
    only = next(iter(outputs))
    if isinstance(result, (bytes, bytearray)):
        return {only: Data(bytes(result), media_type)}
    if isinstance(result, str) and not media_type.startswith("application/json"):
        return {only: Data(result.encode(), media_type)}
    if isinstance(result, dict) and set(result) == {"outputs"} and "outputs" not in outputs:
        result = result["outputs"]
    if _is_entry(result, outputs):
        return {result["id"]: _entry(result, outputs[result["id"]])}
    if isinstance(result, list) and result and all(_is_entry(e, outputs) for e in result):
        return {e["id"]: _entry(e, outputs[e["id"]]) for e in result}
    if isinstance(result, dict) and set(result) <= set(outputs):
        return dict(result)
    return {only: result}


def _is_entry(value: Any, outputs: dict[str, Any]) -> bool:
    return isinstance(value, dict) and set(value) >= {"id", "value"} and value["id"] in outputs


def _entry(entry: dict[str, Any], output: dict[str, Any]) -> Any:
    """An output that says it is an object is the entry itself: clients of pygeoapi read it so."""
    schema = output.get("schema") or {}
    if schema.get("type") == "object" and not isinstance(entry["value"], dict):
        return entry
    return entry["value"]
