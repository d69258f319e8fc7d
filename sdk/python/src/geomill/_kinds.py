"""The types of inputs and outputs: what they are in JSON, and back."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import enum
import inspect
import os
import sys
import types
import typing
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Union

JSON = Any
Schema = dict[str, Any]

_GEOJSON = "https://geojson.org/schema/"
# What says of members of a TypedDict whether they have to be there; typing has these since 3.11.
_MEMBERS = [getattr(typing, name) for name in ("Required", "NotRequired") if hasattr(typing, name)]


class Describe:
    """Says more about an input or output: ``Annotated[float, Describe("Distance", minimum=0)]``.

    Keywords are those of JSON Schema, written with underscores: ``min_length``,
    ``exclusive_minimum``, ``pattern``, ``enum``, ``examples``, ``format``. ``media_type``
    is that of a File or of bytes.
    """

    def __init__(self, title: str = "", description: str = "", media_type: str = "", **keywords: Any) -> None:
        self.title, self.description, self.media_type = title, description, media_type
        self.keywords = {_camel(k): v for k, v in keywords.items()}


def _camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(w.capitalize() for w in rest)


@dataclasses.dataclass(frozen=True)
class File:
    """An input or output that is large, or not JSON.

    The file of an input is only read. That of an output is best made in
    ``Job.dir``: the host then takes it without copying. ``media_type`` of an output
    may be left to its ``Describe``.
    """

    path: str | os.PathLike[str]
    media_type: str = ""


@dataclasses.dataclass(frozen=True)
class Data:
    """An output of bytes, whose media type is known only when they are made."""

    content: bytes
    media_type: str


@dataclasses.dataclass(frozen=True)
class BBox:
    """A bounding box of OGC API - Processes: four or six numbers, and the URI of their system."""

    bbox: list[float]
    crs: str = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


class Secret:
    """A setting that is not to be seen: it prints as ``***``."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Returns the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


#: GeoJSON objects as dictionaries, checked by the host.
Geometry = Annotated[dict[str, Any], Describe(format="geojson-geometry", _ref=_GEOJSON + "Geometry.json")]
Feature = Annotated[dict[str, Any], Describe(format="geojson-feature", _ref=_GEOJSON + "Feature.json")]
FeatureCollection = Annotated[
    dict[str, Any], Describe(format="geojson-feature-collection", _ref=_GEOJSON + "FeatureCollection.json")
]


class Misfit(ValueError):
    """A value does not fit its type; ``pointer`` is the place within it."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


@dataclasses.dataclass
class Kind:
    """A type: its schema, and how its values come out of JSON and go into it."""

    schema: Schema
    load: Callable[[JSON], Any] = lambda v: v
    dump: Callable[[Any], JSON] = lambda v: v
    media_type: str = ""  # of a file
    is_file: bool = False
    describe: Describe = dataclasses.field(default_factory=Describe)
    optional: bool = False  # None is a value of it


def is_text(media_type: str) -> bool:
    """Whether content of a media type is a JSON string in requests, rather than base64."""
    base = media_type.partition(";")[0].strip().lower()
    return base.startswith("text/") or base.endswith(("+json", "+xml")) or base in ("application/json", "application/xml")


def kind_of(annotation: Any) -> Kind:
    """Makes a Kind of a type. It raises TypeError for one that has no form in JSON."""
    if annotation is inspect.Parameter.empty or annotation is Any:
        return Kind({})
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _annotated(annotation)
    if origin is Union or origin is types.UnionType:
        return _union(typing.get_args(annotation))
    if origin in _MEMBERS:
        return kind_of(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return Kind({"enum": list(typing.get_args(annotation))})
    if origin is not None:
        args = typing.get_args(annotation)
        return _generic(annotation, origin, args) if args else kind_of(origin)  # List is list
    if annotation is None or annotation is type(None):
        return Kind({"type": "null"})
    for make in (_plain, _file, _class, _foreign):
        if kind := make(annotation):
            return kind
    raise TypeError(f"{annotation!r} has no form in JSON; use a dataclass, a model of pydantic, or geomill.File")


def _annotated(annotation: Any) -> Kind:
    inner, *notes = typing.get_args(annotation)
    if _pydantic_knows(inner, notes):
        kind = _by_pydantic(annotation)
    else:
        kind = kind_of(inner)
    for note in notes:
        if not isinstance(note, Describe):
            continue
        keywords = dict(note.keywords)
        if ref := keywords.pop("ref", None):
            kind.schema = {"$ref": ref, **keywords}
        else:
            kind.schema = {**kind.schema, **keywords}
        kind.describe = Describe(note.title or kind.describe.title, note.description or kind.describe.description)
        if note.media_type:
            _set_media(kind, note.media_type)
    return kind


def _set_media(kind: Kind, media_type: str) -> None:
    kind.media_type = media_type
    kind.schema["contentMediaType"] = media_type
    if kind.is_file and is_text(media_type):
        kind.schema.pop("contentEncoding", None)


def _union(members: tuple[Any, ...]) -> Kind:
    rest = [m for m in members if m is not type(None)]
    if len(rest) == 1:
        kind = kind_of(rest[0])
        load, dump = kind.load, kind.dump
        return dataclasses.replace(
            kind,
            optional=True,
            load=lambda v: None if v is None else load(v),
            dump=lambda v: None if v is None else dump(v),
        )
    kinds = [kind_of(m) for m in rest]

    def load_any(v: JSON) -> Any:
        for k in kinds:
            if not _may_be(k.schema, v):
                continue
            try:
                return k.load(v)
            except (ValueError, TypeError, KeyError):
                continue
        raise Misfit("fits none of its types")

    return Kind({"anyOf": [k.schema for k in kinds]}, load_any, optional=len(rest) < len(members))


def _may_be(schema: Schema, v: JSON) -> bool:
    """Whether a value may be of a schema, as far as its type and what is enumerated say."""
    if "enum" in schema and not any(v == one and isinstance(v, bool) == isinstance(one, bool) for one in schema["enum"]):
        return False
    match schema.get("type"):
        case "integer":
            return isinstance(v, (int, float)) and not isinstance(v, bool) and v == v // 1
        case "number":
            return isinstance(v, (int, float)) and not isinstance(v, bool)
        case "string":
            return isinstance(v, str)
        case "boolean":
            return isinstance(v, bool)
        case "object":
            return isinstance(v, dict)
        case "array":
            return isinstance(v, list)
    return True


def _generic(annotation: Any, origin: Any, args: tuple[Any, ...]) -> Kind:
    if _is_array(origin):
        return _foreign(origin) or Kind({})
    if origin in (list, set, frozenset) or origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        item = kind_of(args[0])

        def load_list(v: JSON) -> Any:
            return origin(load_at(item, i, x) for i, x in enumerate(v))

        return Kind({"type": "array", "items": item.schema}, load_list, lambda v: [item.dump(x) for x in v])
    if origin is tuple:
        items = [kind_of(a) for a in args]
        schema = {"type": "array", "prefixItems": [k.schema for k in items], "minItems": len(items), "maxItems": len(items)}
        return Kind(
            schema,
            lambda v: tuple(load_at(k, i, x) for i, (k, x) in enumerate(zip(items, v, strict=True))),
            lambda v: [k.dump(x) for k, x in zip(items, v, strict=True)],
        )
    if origin is dict and args[0] is str:
        value = kind_of(args[1])
        return Kind(
            {"type": "object", "additionalProperties": value.schema} if value.schema else {"type": "object"},
            lambda v: {k: load_at(value, k, x) for k, x in v.items()},
            lambda v: {k: value.dump(x) for k, x in v.items()},
        )
    raise TypeError(f"{annotation!r} has no form in JSON")


def load_at(kind: Kind, place: int | str, value: JSON) -> Any:
    """Loads a part of a value, and blames it by its place."""
    try:
        return kind.load(value)
    except Misfit as fault:
        step = str(place).replace("~", "~0").replace("/", "~1")
        raise Misfit(str(fault), f"/{step}{fault.pointer}") from None


def _plain(t: Any) -> Kind | None:
    simple = {str: "string", bool: "boolean", dict: "object", list: "array"}
    if t is int:  # 2.0 is an integer in JSON Schema
        return Kind({"type": "integer"}, int)
    if t is float:
        return Kind({"type": "number"}, float)
    if name := simple.get(t):
        return Kind({"type": name})
    if t in (tuple, set, frozenset):
        return Kind({"type": "array"}, t, list)
    if t is bytes:
        return Kind({"type": "string", "contentEncoding": "base64"}, _unbase64, lambda v: base64.b64encode(v).decode())
    if t is datetime.datetime:
        return Kind({"type": "string", "format": "date-time"}, _moment, _moment_text)
    if t is datetime.date:
        return Kind({"type": "string", "format": "date"}, _parsed(datetime.date.fromisoformat, "is no date"), str)
    if t is Secret:
        return Kind({"type": "string", "writeOnly": True}, Secret, lambda v: v.reveal())
    if t is uuid.UUID:
        return Kind({"type": "string", "format": "uuid"}, _parsed(uuid.UUID, "is no UUID"), str)
    return None


def _parsed(parse: Callable[[str], Any], fault: str) -> Callable[[JSON], Any]:
    def load(v: JSON) -> Any:
        try:
            return parse(v)
        except ValueError:
            raise Misfit(fault) from None

    return load


def _moment(v: JSON) -> datetime.datetime:
    try:
        # Before 3.11 fromisoformat knew neither Z nor z.
        return datetime.datetime.fromisoformat(v[:-1] + "+00:00" if v[-1:] in "Zz" else v)
    except ValueError:
        raise Misfit("is no date and time") from None


def _moment_text(v: datetime.datetime) -> str:
    return (v if v.tzinfo else v.astimezone()).isoformat()  # RFC 3339 wants an offset


def _unbase64(v: JSON) -> bytes:
    try:
        return base64.b64decode(v, validate=True)
    except binascii.Error:
        raise Misfit("is not base64") from None


def _file(t: Any) -> Kind | None:
    if t is not File:
        return None
    media = "application/octet-stream"
    return Kind({"type": "string", "contentEncoding": "base64", "contentMediaType": media}, media_type=media, is_file=True)


def _class(t: Any) -> Kind | None:
    if t is BBox:
        ref = "https://schemas.opengis.net/ogcapi/processes/part1/1.0/openapi/schemas/bbox.yaml"
        return Kind(
            {"format": "ogc-bbox", "$ref": ref},
            lambda v: BBox(v["bbox"], v.get("crs", BBox([]).crs)),
            dataclasses.asdict,
        )
    if not isinstance(t, type):
        return None
    if issubclass(t, enum.Enum):
        values = [m.value for m in t]
        return Kind({"enum": values}, t, lambda v: v.value)
    if is_model(t):
        return _by_pydantic(t)
    if members := members_of(t):
        return _object(t, members)
    return None


@dataclasses.dataclass
class Member:
    """A member of a class whose values are JSON objects."""

    name: str
    kind: Kind
    required: bool
    default: Any = None  # JSON; None for none


def members_of(t: Any) -> list[Member] | None:
    """Returns the members of a dataclass or TypedDict, or None."""
    if t in (File, Data, BBox):  # each is one value
        return None
    if dataclasses.is_dataclass(t):
        hints = typing.get_type_hints(t, include_extras=True)
        listed = []
        for f in dataclasses.fields(t):
            if not f.init:
                continue
            kind = kind_of(hints[f.name])
            free = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            default = None if f.default in (dataclasses.MISSING, None) else kind.dump(f.default)
            listed.append(Member(f.name, kind, free and not kind.optional, default))
        return listed
    if typing.is_typeddict(t):
        hints = typing.get_type_hints(t, include_extras=True)
        return [Member(k, kind_of(h), k in t.__required_keys__) for k, h in hints.items()]
    return None


def _object(t: Any, members: list[Member]) -> Kind:
    by_name = {m.name: m for m in members}
    schema: Schema = {
        "type": "object",
        "properties": {m.name: member_schema(m) for m in members},
        "additionalProperties": False,
    }
    if required := [m.name for m in members if m.required]:
        schema["required"] = required

    make = filled(t, members)

    def load(v: JSON) -> Any:
        return make({k: load_at(by_name[k].kind, k, x) for k, x in v.items() if k in by_name})

    def dump(v: Any) -> JSON:
        get = v.get if isinstance(v, dict) else lambda k: getattr(v, k)
        values = {m.name: get(m.name) for m in members}
        return {k: by_name[k].kind.dump(x) for k, x in values.items() if x is not None or by_name[k].required}

    return Kind(schema, load, dump)


def filled(t: Any, members: list[Member]) -> Callable[[dict[str, Any]], Any]:
    """Makes objects of a dataclass or TypedDict of loaded members; those that may be None are if they are not there."""
    nones: dict[str, Any] = {}
    if dataclasses.is_dataclass(t):
        none = dataclasses.MISSING
        free = {f.name for f in dataclasses.fields(t) if f.default is none and f.default_factory is none}
        nones = {m.name: None for m in members if m.kind.optional and m.name in free}
    return lambda values: t(**{**nones, **values})


def member_schema(m: Member) -> Schema:
    """The schema of a member, with what is said about it."""
    schema = dict(m.kind.schema)
    if m.kind.describe.title:
        schema["title"] = m.kind.describe.title
    if m.kind.describe.description:
        schema["description"] = m.kind.describe.description
    if m.default is not None:
        schema["default"] = m.default
    return schema


# ---- Libraries that users have: none is imported unless their types are used ----


def is_model(t: Any) -> bool:
    """Whether t is a model of pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(t, type) and issubclass(t, pydantic.BaseModel)


def _pydantic_knows(inner: Any, notes: list[Any]) -> bool:
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return False
    return any(type(n).__module__.startswith(("pydantic", "annotated_types")) for n in notes)


def _by_pydantic(annotation: Any) -> Kind:
    import pydantic

    adapter: Any = pydantic.TypeAdapter(annotation)
    schema = adapter.json_schema()
    title, description = schema.pop("title", ""), schema.pop("description", "")

    def load(v: JSON) -> Any:
        try:
            return adapter.validate_python(v)
        except pydantic.ValidationError as fault:
            first = fault.errors()[0]
            raise Misfit(first["msg"], "".join(f"/{step}" for step in first["loc"])) from None

    described = Describe(title if not is_model(annotation) else "", description)
    return Kind(schema, load, lambda v: adapter.dump_python(v, mode="json"), describe=described)


def _is_array(t: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and t is numpy.ndarray


def _foreign(t: Any) -> Kind | None:
    if _is_array(t):
        import numpy

        return Kind({"type": "array"}, numpy.asarray, lambda v: v.tolist())
    base = sys.modules.get("shapely.geometry.base")
    if base is not None and isinstance(t, type) and t is not object:
        if issubclass(base.BaseGeometry, t):  # or what it is derived from, shapely.Geometry
            return _geometry(t, True)
        if issubclass(t, base.BaseGeometry):
            return _geometry(t, False)
    return None


def _geometry(t: Any, any_type: bool) -> Kind:
    from shapely.geometry import mapping, shape

    def load(v: JSON) -> Any:
        try:
            found = shape(v)
        except Exception as fault:  # whatever the library makes of what the schema let pass
            raise Misfit(f"is no geometry: {fault}") from None
        if not isinstance(found, t):
            raise Misfit(f"is a {found.geom_type}, not a {t.__name__}")
        return found

    name = "Geometry" if any_type else t.__name__
    return Kind({"format": "geojson-geometry", "$ref": f"{_GEOJSON}{name}.json"}, load, mapping)


def dump_any(value: Any) -> JSON:
    """JSON of a value that is none yet and whose type nobody declared, for json.dumps."""
    if isinstance(value, (set, frozenset)):
        return list(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return value.item()
    return kind_of(type(value)).dump(value)
