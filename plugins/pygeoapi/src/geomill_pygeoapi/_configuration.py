"""The configuration: that of pygeoapi, of which only processes count."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import Any

import yaml


class Wrong(Exception):
    """The configuration cannot be used; the text says why and what to do."""


@dataclasses.dataclass
class Processor:
    """A processor to serve."""

    id: str
    definition: dict[str, Any]  # what the processor is made with; has its name
    policy: dict[str, Any]


@dataclasses.dataclass
class Configuration:
    name: str
    version: str
    processors: list[Processor]


_POLICY = ("isolation", "max_concurrency", "timeout", "retry_attempts", "retry_backoff", "retry_on", "deterministic")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def read(path: str) -> Configuration:
    """Reads a configuration. Variables, ``${NAME}`` or ``${NAME:-default}``, get their values from the environment.

    It raises Wrong.
    """
    try:
        with open(path, encoding="utf-8") as f:
            document = _filled(yaml.safe_load(f))
    except OSError as fault:
        raise Wrong(f"cannot read the configuration: {fault.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise Wrong(f"the configuration is not YAML: {fault}") from None
    if not isinstance(document, dict) or not isinstance(document.get("resources"), dict):
        raise Wrong("the configuration has no mapping named resources, with a process for each key")
    processors = [_processor(k, v) for k, v in document["resources"].items() if _is_process(v)]
    if not processors:
        raise Wrong("the configuration has no resource with type: process")
    plugin = document.get("plugin") or {}
    if not isinstance(plugin, dict):
        raise Wrong("plugin: has to be a mapping, such as {name: terrain, version: 1.2.0}")
    name = str(plugin.get("name", "pygeoapi"))
    if not _NAME.fullmatch(name):
        raise Wrong(f"plugin.name: {name!r} is no name of a plugin: it may have lower case letters, digits and . _ -")
    return Configuration(name, str(plugin.get("version", "1.0.0")), processors)


def _filled(value: Any) -> Any:
    """Puts the values of variables into the texts of a document."""
    if isinstance(value, dict):
        return {k: _filled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v) for v in value]
    if not isinstance(value, str):
        return value
    if alone := _VARIABLE.fullmatch(value):
        return yaml.safe_load(_value(alone))  # a number stays one
    return _VARIABLE.sub(_value, value)


def _value(found: re.Match[str]) -> str:
    name, default = found.groups()
    value = os.environ.get(name, default)
    if value is None:
        raise Wrong(f"the configuration wants the variable {name}; the host passes it on if plugin-env lists it")
    return value


def _is_process(resource: Any) -> bool:
    return isinstance(resource, dict) and resource.get("type") == "process"


def _processor(key: str, resource: dict[str, Any]) -> Processor:
    definition = resource.get("processor")
    if not isinstance(definition, dict) or not isinstance(definition.get("name"), str):
        raise Wrong(f"resources.{key}: needs processor: {{name: package.module.Class}}")
    policy = resource.get("policy") or {}
    if not isinstance(policy, dict) or set(policy) - set(_POLICY):
        raise Wrong(f"resources.{key}.policy: has keys other than {', '.join(_POLICY)}")
    return Processor(str(key), definition, policy)
