"""The metadata of a processor, as the description of a process."""

from __future__ import annotations

import logging
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

_LOG = logging.getLogger("geomill_pygeoapi")
_TEXTS = ("title", "description", "keywords")
_PARTS = ("schema", "minOccurs", "maxOccurs", "metadata", "additionalParameters")
_KNOWN_REFERENCES = ("http://schemas.opengis.net/", "https://schemas.opengis.net/", "http://geojson.org/", "https://geojson.org/", "#")


def describe(process_id: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Makes the description. Texts in several languages become translations; links are the host's to make.

    What the host would refuse is left out, with a warning.
    """
    languages = _languages(metadata)
    first = "en" if "en" in languages or not languages else languages[0]
    described = _texts(metadata, first)
    described["id"] = process_id
    if version := metadata.get("version"):
        described["version"] = str(version)
    control = [str(c) for c in metadata.get("jobControlOptions") or ("sync-execute", "async-execute")]
    described["jobControlOptions"] = [*control, *(["dismiss"] if "dismiss" not in control else [])]
    for key in ("outputTransmission", "metadata"):
        if metadata.get(key):
            described[key] = metadata[key]
    for kind in ("inputs", "outputs"):
        parts = metadata.get(kind) or {}
        described[kind] = {str(k): _part(f"{process_id}: {kind}.{k}", v, first) for k, v in parts.items()}
    if languages:
        described["language"] = first
        described["translations"] = {tag: _translation(metadata, tag) for tag in languages if tag != first}
    return described


def _languages(metadata: dict[str, Any]) -> list[str]:
    found: dict[str, None] = {}
    parts = [*(metadata.get("inputs") or {}).values(), *(metadata.get("outputs") or {}).values()]
    for part in [metadata, *parts]:
        for key in _TEXTS:
            if isinstance(part, dict) and isinstance(part.get(key), dict):
                found.update(dict.fromkeys(map(str, part[key])))
    return list(found)


def _texts(part: dict[str, Any], tag: str, *, only: bool = False) -> dict[str, Any]:
    """The texts in a language; with ``only``, those that are in that language for certain."""
    found: dict[str, Any] = {}
    for key in _TEXTS:
        text = part.get(key)
        if isinstance(text, dict):
            text = text.get(tag) if only else text.get(tag, next(iter(text.values()), None))
        elif only:
            continue
        if text:
            found[key] = [str(w) for w in text] if key == "keywords" else str(text)
    return found


def _translation(metadata: dict[str, Any], tag: str) -> dict[str, Any]:
    texts = _texts(metadata, tag, only=True)
    for kind in ("inputs", "outputs"):
        parts = {k: _texts(v, tag, only=True) for k, v in (metadata.get(kind) or {}).items()}
        if said := {k: v for k, v in parts.items() if v}:
            texts[kind] = said
    return texts


def _part(where: str, part: dict[str, Any], tag: str) -> dict[str, Any]:
    described = _texts(part, tag)
    described.update({k: part[k] for k in _PARTS if part.get(k) not in (None, "")})
    described["schema"] = _schema(where, part.get("schema") or {})
    return described


def _schema(where: str, schema: Any) -> Any:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as fault:
        _LOG.warning("%s: its schema is wrong (%s); any value is allowed", where, fault.message)
        return {}
    return _known(where, schema)


def _known(where: str, schema: Any) -> Any:
    """Leaves references out that nobody can follow without the network, and lets forms of a value overlap.

    pygeoapi checks nothing, so that a ``oneOf`` whose forms are the same in other words went unnoticed.
    """
    if isinstance(schema, list):
        return [_known(where, s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and not reference.startswith(_KNOWN_REFERENCES):
        _LOG.warning("%s: the reference %s is not known; any value is allowed there", where, reference)
        schema = {k: v for k, v in schema.items() if k != "$ref"}
    if "oneOf" in schema and "anyOf" not in schema:
        schema = {"anyOf" if k == "oneOf" else k: v for k, v in schema.items()}
    return {k: v if k in ("enum", "const", "default", "examples") else _known(where, v) for k, v in schema.items()}
