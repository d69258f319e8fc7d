"""What a function becomes: a process with inputs and outputs."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Sequence
from typing import Any, overload

from ._errors import Invalid
from ._job import Job
from ._kinds import JSON, Kind, Member, Misfit, filled, is_model, kind_of, member_schema, members_of

_ISOLATION = {"shared": 1, "exclusive": 2, "job": 3}
_RETRY_ON = {"plugin": 1, "host": 2, "process": 3, "memory": 4, "timeout": 5}
_JOB_CONTROL = ("sync-execute", "async-execute", "dismiss")
_ID = re.compile(r"^[A-Za-z0-9_~:-][A-Za-z0-9._~:-]{0,199}$")


@dataclasses.dataclass
class Policy:
    """How the author wants a process to be run; the operator decides. See ``process``."""

    isolation: str = "exclusive"
    max_concurrency: int = 0
    timeout: float = 0
    retry_attempts: int = 0
    retry_backoff: float = 0
    retry_on: Sequence[str] = ()
    deterministic: bool = False

    def check(self) -> None:
        if self.isolation not in _ISOLATION:
            raise ValueError(f"isolation {self.isolation!r} is not one of {', '.join(_ISOLATION)}")
        for word in ("max_concurrency", "retry_attempts", "timeout", "retry_backoff"):
            value = getattr(self, word)
            whole = word in ("max_concurrency", "retry_attempts")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not 0 <= value < 1 << 31:
                raise ValueError(f"{word} {value!r} is not {'a whole number' if whole else 'a number of seconds'} from 0")
        if wrong := [cause for cause in self.retry_on if cause not in _RETRY_ON]:
            raise ValueError(f"retry_on {wrong[0]!r} is not one of {', '.join(_RETRY_ON)}")

    def fields(self) -> list[tuple[int, int | bytes]]:
        """The fields of the contract's Policy."""
        from ._codec import encode

        def seconds(s: float) -> bytes:
            return encode((1, int(s)), (2, int(s % 1 * 1e9)))

        listed: list[tuple[int, int | bytes]] = [(1, _ISOLATION[self.isolation]), (2, self.max_concurrency)]
        if self.timeout:
            listed.append((3, seconds(self.timeout)))
        listed += [(4, self.retry_attempts), (5, self.deterministic)]
        if self.retry_backoff:
            listed.append((10, seconds(self.retry_backoff)))
        return listed + [(11, _RETRY_ON[cause]) for cause in self.retry_on]


class Process:
    """A process ready to be served. Make it with ``process`` or ``raw``."""

    inputs: list[Member]
    outputs: list[Member]

    def __init__(self, function: Callable[..., Any], description: dict[str, Any], policy: Policy) -> None:
        policy.check()
        self.function, self.policy, self.description = function, policy, description
        self.id: str = description["id"]
        if not _ID.match(self.id):
            raise ValueError(f"{self.id!r} is no id of a process: letters, digits and . _ ~ : -")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function that the process was made of."""
        return self.function(*args, **kwargs)

    def output(self, name: str) -> Member:
        """The output of that name; ValueError if there is none."""
        for m in self.outputs:
            if m.name == name:
                return m
        raise ValueError(f"no output {name!r}; there are " + ", ".join(m.name for m in self.outputs))

    def call(self, job: Job, values: dict[str, JSON]) -> dict[str, Any]:
        """Calls the function with inputs as they are in JSON; returns outputs not yet in JSON."""
        raise NotImplementedError


class _Typed(Process):
    """A process whose function has types."""

    def __init__(self, function: Callable[..., Any], description: dict[str, Any], policy: Policy, output: str) -> None:
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__name__}: a process is a plain function, not async: let it call asyncio.run")
        hints = typing.get_type_hints(function, include_extras=True)
        try:
            self._job_parameter, self._model, self.inputs = _inputs(function, hints)
            self.outputs, self._single = _outputs(hints.get("return", inspect.Parameter.empty), output)
        except RecursionError:
            raise TypeError(
                f"{function.__name__}: a class that contains itself has no schema here; use a model of pydantic, or dict"
            ) from None
        without = {p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty}
        self._nones = {m.name: None for m in self.inputs if m.name in without and not m.required}
        described = {
            **description,
            "mutable": False,
            "inputs": {m.name: _described(m, required=m.required) for m in self.inputs},
            "outputs": {m.name: _described(m, required=True) for m in self.outputs},
        }
        super().__init__(function, described, policy)

    def call(self, job: Job, values: dict[str, JSON]) -> dict[str, Any]:
        arguments, faults = {}, []
        for m in self.inputs:
            if m.name not in values:
                if m.required:
                    faults.append(Invalid(m.name, "is required"))
                continue
            try:
                arguments[m.name] = values[m.name] if m.kind.is_file else m.kind.load(values[m.name])
            except Misfit as fault:
                faults.append(Invalid(m.name, str(fault), fault.pointer))
            except (ValueError, OverflowError) as fault:  # what a type makes of what its schema let pass
                faults.append(Invalid(m.name, f"does not fit: {fault}"))
        if faults:
            raise Invalid.all(faults)
        if self._model is not None:
            parameter, make = self._model
            arguments = {parameter: make(arguments)}
        else:
            arguments = {**self._nones, **arguments}
        if self._job_parameter:
            arguments[self._job_parameter] = job
        return self._named(self.function(**arguments))

    def _named(self, result: Any) -> dict[str, Any]:
        if self._single:
            return {self.outputs[0].name: result}
        names = [m.name for m in self.outputs]
        if not isinstance(result, dict) and not any(hasattr(result, name) for name in names):
            said = repr(result)[:100]
            raise TypeError(f"{self.function.__name__} returned {said}, which has none of its outputs {', '.join(names)}")
        members = result if isinstance(result, dict) else {name: getattr(result, name, None) for name in names}
        named = {name: members.get(name) for name in names}
        return {k: v for k, v in named.items() if v is not None}


class _Raw(Process):
    """A process that is described by itself."""

    def __init__(self, function: Callable[..., Any], description: dict[str, Any], policy: Policy) -> None:
        described = {"inputs": {}, "jobControlOptions": list(_JOB_CONTROL), **description}
        super().__init__(function, described, policy)
        self.inputs = [Member(k, _raw_kind(v), v.get("minOccurs", 1) > 0) for k, v in described["inputs"].items()]
        self.outputs = [Member(k, Kind(v.get("schema", {})), True) for k, v in described.get("outputs", {}).items()]
        if not self.outputs:
            raise ValueError(f"process {self.id} has no outputs")

    def call(self, job: Job, values: dict[str, JSON]) -> dict[str, Any]:
        named: dict[str, Any] = self.function(job, values)
        return {m.name: named[m.name] for m in self.outputs if m.name in named}


def _raw_kind(described: dict[str, Any]) -> Kind:
    schema = described.get("schema", {})
    media = schema.get("contentMediaType", "") if schema.get("contentEncoding") in ("base64", "binary") else ""
    return Kind(schema, media_type=media, is_file=bool(media))


def _described(m: Member, required: bool) -> dict[str, Any]:
    schema = member_schema(m)
    described: dict[str, Any] = {}
    for word in ("title", "description"):
        if word in schema:
            described[word] = schema.pop(word)
    described["schema"] = schema
    if not required:
        described["minOccurs"] = 0
    return described


_Maker = Callable[[dict[str, Any]], Any]


def _inputs(function: Callable[..., Any], hints: dict[str, Any]) -> tuple[str, tuple[str, _Maker] | None, list[Member]]:
    """The parameter for the job, the one for a model of all inputs, and the inputs."""
    job, listed = "", []
    for p in inspect.signature(function).parameters.values():
        hint = hints.get(p.name, inspect.Parameter.empty)
        if hint is Job or hint is inspect.Parameter.empty and p.name == "job":
            job = p.name
        elif p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY):
            raise TypeError(f"{function.__name__}: parameter {p.name} must have a name that callers can use")
        else:
            listed.append((p, hint))
    if len(listed) == 1:
        parameter, hint = listed[0]
        if members := model_members(hint):
            return job, (parameter.name, maker(hint)), members
    inputs = []
    for p, hint in listed:
        try:
            kind = kind_of(hint)
            free = p.default is p.empty
            default = None if free or p.default is None else kind.dump(p.default)
        except TypeError as fault:
            raise TypeError(f"{function.__name__}: input {p.name}: {fault}") from None
        inputs.append(Member(p.name, kind, free and not kind.optional, default))
    return job, None, inputs


def model_members(t: Any) -> list[Member] | None:
    """The members of a dataclass, TypedDict or model of pydantic, or None."""
    if not is_model(t):
        return members_of(t)
    schema = t.model_json_schema()
    listed = []
    for name, field in t.model_fields.items():
        known = field.alias or name
        part = dict(schema["properties"][known])
        if "$defs" in schema and "$ref" in str(part):
            part["$defs"] = schema["$defs"]
        title, description, default = part.pop("title", ""), part.pop("description", ""), part.pop("default", None)
        kind = Kind(part)
        kind.describe.title = title if field.title else ""
        kind.describe.description = description
        listed.append(Member(known, kind, field.is_required(), default))
    return listed


def maker(t: Any) -> _Maker:
    """Makes an object of a dataclass, TypedDict or model of pydantic of its loaded members."""
    if not is_model(t):
        return filled(t, members_of(t) or [])

    def validate(values: dict[str, Any]) -> Any:
        import pydantic

        try:
            return t.model_validate(values)
        except pydantic.ValidationError as fault:
            errors = fault.errors()
            raise Invalid.all(
                Invalid(str(e["loc"][0]) if e["loc"] else "", e["msg"], "".join(f"/{step}" for step in e["loc"][1:]))
                for e in errors
            ) from None

    return validate


def _outputs(hint: Any, output: str) -> tuple[list[Member], bool]:
    if is_model(hint):
        return model_members(hint) or [], False
    if (members := members_of(hint)) and hint.__module__ != "geomill._kinds":
        return [dataclasses.replace(m, default=None) for m in members], False
    return [Member(output, kind_of(hint), True)], True


@overload
def process(function: Callable[..., Any], /) -> Process: ...


@overload
def process(
    *,
    id: str = ...,
    title: str = ...,
    description: str = ...,
    version: str = ...,
    keywords: Sequence[str] = ...,
    output: str = ...,
    isolation: str = ...,
    max_concurrency: int = ...,
    timeout: float = ...,
    retry_attempts: int = ...,
    retry_backoff: float = ...,
    retry_on: Sequence[str] = ...,
    deterministic: bool = ...,
    job_control: Sequence[str] = ...,
) -> Callable[[Callable[..., Any]], Process]: ...


def process(
    function: Callable[..., Any] | None = None,
    /,
    *,
    id: str = "",
    title: str = "",
    description: str = "",
    version: str = "",
    keywords: Sequence[str] = (),
    output: str = "result",
    isolation: str = "exclusive",
    max_concurrency: int = 0,
    timeout: float = 0,
    retry_attempts: int = 0,
    retry_backoff: float = 0,
    retry_on: Sequence[str] = (),
    deterministic: bool = False,
    job_control: Sequence[str] = _JOB_CONTROL,
) -> Any:
    """Makes a process of a function.

    Parameters are inputs, by name; one that is a dataclass, a TypedDict or a model
    of pydantic, and the only one, has all inputs as its members. A parameter of type
    ``Job`` gets the job. The return type says the outputs: the members of such a
    class, or a single output named ``output``.

    ``id``, ``title`` and ``description`` default to the function's name and docstring.
    ``isolation`` is "exclusive" (one job at a time in an instance), "shared" or
    "job" (a fresh instance each). ``timeout`` and ``retry_backoff`` are seconds.
    ``retry_on`` lists "plugin", "host", "process", "memory", "timeout".

    It raises TypeError for a type that has no form in JSON.
    """

    def make(f: Callable[..., Any]) -> Process:
        text = inspect.cleandoc(f.__doc__ or "")
        first, _, rest = text.partition("\n")
        described: dict[str, Any] = {
            "id": id or f.__name__.replace("_", "-"),
            "title": title or first.rstrip(".") or f.__name__.replace("_", " ").capitalize(),
            "jobControlOptions": list(job_control),
        }
        if said := description or rest.strip():
            described["description"] = said
        if version:
            described["version"] = version
        if keywords:
            described["keywords"] = list(keywords)
        policy = Policy(isolation, max_concurrency, timeout, retry_attempts, retry_backoff, retry_on, deterministic)
        return _Typed(f, described, policy, output)

    return make if function is None else make(function)


def raw(description: dict[str, Any], function: Callable[[Job, dict[str, JSON]], dict[str, Any]], **policy: Any) -> Process:
    """Makes a process whose description is known only when the program runs.

    ``description`` is that of the standard, without links. ``function`` gets the inputs
    that are there, those of bytes as a File, and returns the outputs that it has: JSON,
    ``File`` or ``Data``. ``policy`` takes the words of ``process``.
    """
    return _Raw(function, description, Policy(**policy))
