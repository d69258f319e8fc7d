"""Functions become processes: descriptions, inputs, outputs, errors."""

import dataclasses
import datetime
import enum
import logging
import sys
import time
import typing
from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, Optional, TypedDict

import pytest
from geomill import BBox, Cancelled, Data, Describe, Failed, FeatureCollection, File, Invalid, Job, Retry, Secret, process, raw
from geomill.testing import run


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Summary(TypedDict):
    count: int
    names: list[str]


@process
def greet(name: str, times: int = 1) -> str:
    """Greet someone.

    As often as is wanted.
    """
    return " ".join([f"Hello {name}!"] * times)


def test_a_function_is_described_by_its_name_docstring_and_types() -> None:
    assert greet.description == {
        "id": "greet",
        "title": "Greet someone",
        "description": "As often as is wanted.",
        "jobControlOptions": ["sync-execute", "async-execute", "dismiss"],
        "mutable": False,
        "inputs": {
            "name": {"schema": {"type": "string"}},
            "times": {"schema": {"type": "integer", "default": 1}, "minOccurs": 0},
        },
        "outputs": {"result": {"schema": {"type": "string"}}},
    }


def test_a_process_runs_over_the_wire_and_as_a_function() -> None:
    assert run(greet, name="Ada", times=2).outputs == {"result": "Hello Ada! Hello Ada!"}
    assert greet("Ada") == "Hello Ada!"


@pytest.mark.parametrize(
    ("annotation", "schema", "given", "loaded"),
    [
        (str, {"type": "string"}, "a", "a"),
        (int, {"type": "integer"}, 2.0, 2),
        (float, {"type": "number"}, 2, 2.0),
        (bool, {"type": "boolean"}, True, True),
        (Any, {}, [1, {"a": None}], [1, {"a": None}]),
        (list[int], {"type": "array", "items": {"type": "integer"}}, [1, 2], [1, 2]),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}, {"a": 1}, {"a": 1.0}),
        (dict[str, Any], {"type": "object"}, {"a": 1}, {"a": 1}),
        (Literal["a", "b"], {"enum": ["a", "b"]}, "b", "b"),
        (Colour, {"enum": ["red", "blue"]}, "blue", Colour.BLUE),
        (datetime.date, {"type": "string", "format": "date"}, "2026-11-23", datetime.date(2026, 11, 23)),
        (
            datetime.datetime,
            {"type": "string", "format": "date-time"},
            "2026-11-23T18:00:00+00:00",
            datetime.datetime(2026, 11, 23, 18, tzinfo=datetime.timezone.utc),
        ),
        (bytes, {"type": "string", "contentEncoding": "base64"}, "aGk=", b"hi"),
        (
            Point,
            {
                "type": "object",
                "properties": {"x": {"type": "number"}, "y": {"type": "number", "default": 0.0}},
                "additionalProperties": False,
                "required": ["x"],
            },
            {"x": 1},
            Point(1.0),
        ),
        (Annotated[int, Describe("Times", minimum=1, exclusive_maximum=9)], {"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, 3, 3),
        (Optional[int], {"type": "integer"}, 3, 3),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "x", "x"),
        (
            tuple[float, float],
            {"type": "array", "prefixItems": [{"type": "number"}] * 2, "minItems": 2, "maxItems": 2},
            [1, 2],
            (1.0, 2.0),
        ),
    ],
)
def test_types_have_a_schema_and_come_out_of_json_and_go_back(annotation: Any, schema: Any, given: Any, loaded: Any) -> None:
    seen: list[Any] = []

    def f(value: Any) -> Any:
        seen.append(value)
        return value

    f.__annotations__ = {"value": annotation, "return": annotation}
    p = process(f)
    if dataclasses.is_dataclass(annotation):  # alone, it would be all inputs
        assert run(p, **given).outputs == {"x": 1.0, "y": 0.0}
        return
    assert p.description["inputs"]["value"]["schema"] == schema
    assert run(p, value=given).outputs == {"result": given}
    assert seen == [loaded]


@pytest.mark.parametrize(
    ("annotation", "given"),
    [
        (int | str, "5"),
        (list[str] | str, "abc"),
        (int | float, 1.5),
        (int | bool, True),
        (Literal["a", 1] | bool, True),
        (datetime.date | int | None, 5),
        (list[int] | dict[str, int], {"a": 1}),
    ],
)
def test_a_value_of_a_union_keeps_its_type(annotation: Any, given: Any) -> None:
    seen: list[Any] = []

    def f(value: Any) -> int:
        seen.append(value)
        return 0

    f.__annotations__ = {"value": annotation, "return": int}
    run(process(f), value=given)
    assert seen == [given]
    assert type(seen[0]) is type(given)


def test_a_file_or_a_box_may_be_the_only_input_and_the_output(tmp_path: Any) -> None:
    @process
    def same_file(source: File) -> File:
        return source

    @process
    def same_box(area: BBox) -> BBox:
        return area

    (tmp_path / "a.bin").write_bytes(b"\x00abc")
    assert list(same_file.description["inputs"]) == ["source"]
    assert run(same_file, source=File(tmp_path / "a.bin")).outputs["result"] == b"\x00abc"
    box = {"bbox": [1.0, 2.0, 3.0, 4.0], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
    assert run(same_box, area=box).outputs == {"result": box}


def test_a_dataclass_has_all_inputs_and_all_outputs() -> None:
    @dataclasses.dataclass
    class Inputs:
        points: Annotated[list[Point], Describe("Points", min_items=1)]
        scale: float = 1.0
        label: str | None = None

    @process(id="centre", title="Centre")
    def centre(inputs: Inputs, job: Job) -> Summary:
        job.progress(50, "half")
        return {"count": len(inputs.points), "names": [inputs.label or "none"]}

    described = centre.description["inputs"]
    assert described["points"]["title"] == "Points" and described["points"]["schema"]["minItems"] == 1
    assert "minOccurs" not in described["points"]
    assert described["scale"] == {"schema": {"type": "number", "default": 1.0}, "minOccurs": 0}
    assert described["label"] == {"schema": {"type": "string"}, "minOccurs": 0}
    assert set(centre.description["outputs"]) == {"count", "names"}
    result = run(centre, points=[{"x": 1}, {"x": 2}])
    assert result.outputs == {"count": 2, "names": ["none"]}
    assert result.progress == [(50.0, "half")]
    assert run(centre, points=[{"x": 1}], outputs=["count"]).outputs == {"count": 1}


def test_a_bounding_box_and_geojson_are_what_the_standard_says() -> None:
    @process
    def count(features: FeatureCollection, box: BBox) -> int:
        return len(features["features"]) if box.bbox[0] < 0 else 0

    inputs = count.description["inputs"]
    assert inputs["features"]["schema"]["$ref"].endswith("FeatureCollection.json")
    assert inputs["box"]["schema"]["format"] == "ogc-bbox"
    features = {"type": "FeatureCollection", "features": []}
    assert run(count, features=features, box={"bbox": [-1, 0, 1, 1]}).outputs == {"result": 0}


def test_files_come_and_go_by_path(tmp_path: Any) -> None:
    @process
    def upper(text: Annotated[File, Describe(media_type="text/plain")], job: Job) -> Annotated[File, Describe(media_type="text/plain")]:
        out = f"{job.dir}/upper.txt"
        with open(text.path) as source, open(out, "w") as target:
            target.write(source.read().upper())
        return File(out)

    assert upper.description["inputs"]["text"]["schema"] == {"type": "string", "contentMediaType": "text/plain"}
    assert run(upper, text="hi").outputs == {"result": b"HI"}
    big = tmp_path / "big"
    big.write_text("x" * 300_000)
    assert run(upper, text=File(big, "text/plain")).outputs == {"result": b"X" * 300_000}


def test_the_path_of_a_file_is_a_file_and_not_told() -> None:
    @process
    def as_text(job: Job) -> Annotated[File, Describe(media_type="image/tiff")]:
        path = f"{job.dir}/a.tif"
        with open(path, "wb") as f:
            f.write(b"II*")
        return path  # type: ignore[return-value]

    @process
    def as_path(job: Job) -> File:
        return Path(as_text.function(job))  # type: ignore[return-value]

    assert run(as_text).outputs == {"result": b"II*"}
    assert run(as_path).outputs == {"result": b"II*"}


def test_an_output_can_be_sent_before_the_end() -> None:
    class Both(TypedDict):
        early: str
        late: int

    @process
    def parts(job: Job, name: str) -> Both:
        job.output("early", "x" * 300_000)
        with pytest.raises(ValueError, match="no output 'nothing'; there are early, late"):
            job.output("nothing", 1)
        with pytest.raises(ValueError, match="was sent before"):
            job.output("early", "y")
        return {"late": 2}  # type: ignore[typeddict-item]

    assert run(parts, name="").outputs == {"early": "x" * 300_000, "late": 2}
    assert run(parts, name="", outputs=["late"]).outputs == {"late": 2}


def test_bytes_with_a_media_type_are_sent_as_they_are() -> None:
    @process
    def picture(size: int) -> Annotated[bytes, Describe(media_type="image/png")]:
        return b"\x89PNG" * size

    assert run(picture, size=1).outputs == {"result": b"\x89PNG"}
    assert run(picture, size=100_000).outputs == {"result": b"\x89PNG" * 100_000}


def test_large_json_travels_as_a_file() -> None:
    @process
    def echo(value: Any) -> Any:
        return value

    assert run(echo, value="ü" * 200_000).outputs == {"result": "ü" * 200_000}


def test_an_input_that_does_not_fit_is_blamed_by_its_place() -> None:
    @process
    def days(dates: list[datetime.date]) -> int:
        return len(dates)

    assert run(days, dates=["2026-01-01", "never"]).faults == [("dates", "/1", "is no date")]
    assert run(days).faults == [("dates", "", "is required")]


def test_errors_are_told_apart() -> None:
    class Gone(Failed):
        def __init__(self) -> None:
            Exception.__init__(self, "no data")

    class Untold(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    odd: dict[str, Any] = {
        "text for status": {"status": "404"},
        "no code": {"status": 404, "code": None},
        "fraction": {"status": 404.0, "code": 7},
    }

    @process
    def fail(how: str) -> str:
        if how == "invalid":
            raise Invalid.all([Invalid("how", "is wrong"), Invalid("how", "at that", "/0")])
        if how == "retry":
            raise Retry("later")
        if how == "failed":
            raise Failed("no data")
        if how == "status":
            raise Failed("no data", status=404, code="NoData")
        if how == "no status":
            raise Failed("no data", status=-1)
        if how in odd:
            raise Failed("no data", **odd[how])
        if how == "own class":
            raise Gone
        if how == "untold":
            raise Untold
        if how == "exit":
            sys.exit(3)
        raise KeyError(how)

    assert run(fail, how="invalid").faults == [("how", "", "is wrong"), ("how", "/0", "at that")]
    later = run(fail, how="retry")
    assert later.error == "later" and later.retryable
    assert run(fail, how="failed").error == "no data"
    told = run(fail, how="status")
    assert (told.error, told.status, told.code) == ("no data", 404, "NoData")
    assert run(fail, how="no status").status == 0
    for how, status in {"text for status": 0, "no code": 404, "fraction": 0, "own class": 0}.items():
        told = run(fail, how=how)
        assert (told.error, told.status, told.code) == ("no data", status, ""), how
    assert run(fail, how="untold").error == "ValueError"
    assert run(fail, how="exit").error == "SystemExit: 3"
    assert run(fail, how="x").error == "KeyError: 'x'"


def test_a_cancelled_job_ends_where_it_looks() -> None:
    @process
    def wait(job: Job) -> str:
        job.progress(10)
        try:
            job.sleep(60)
        except Exception:
            return "held up"
        return "done"

    begun = time.monotonic()
    assert run(wait, cancel_at=10).cancelled
    assert time.monotonic() - begun < 50


def test_programs_of_a_cancelled_job_are_killed() -> None:
    @process
    def shell(job: Job) -> str:
        job.progress(10)
        job.run(["sh", "-c", "sleep 60 & sleep 60"])
        return "done"

    begun = time.monotonic()
    assert run(shell, cancel_at=10).cancelled
    assert time.monotonic() - begun < 50


def test_a_program_runs_for_its_job() -> None:
    @process
    def shell(job: Job, word: str) -> str:
        done = job.run(["sh", "-c", 'echo "$0 $GEOMILL_JOB"', word], capture_output=True, check=True, text=True)
        said, mark = done.stdout.split()
        assert mark == job.id
        return str(said)

    assert run(shell, word="hi").outputs == {"result": "hi"}


def test_what_is_logged_while_a_job_runs_is_in_its_log() -> None:
    from geomill._log import Handler

    @process
    def chatty(job: Job) -> str:
        job.log.warning("read %d", 3)
        logging.getLogger("library").error("from below")
        return "ok"

    root, handler = logging.getLogger(), Handler()
    root.addHandler(handler)
    try:
        assert run(chatty).log == ["read 3", "from below"]
    finally:
        root.removeHandler(handler)


def test_a_flood_of_progress_leaves_room_for_the_end() -> None:
    @process
    def flood(job: Job) -> str:
        for i in range(10_000):
            job.progress(i / 100)
        return "ok"

    result = run(flood)
    assert result.outputs == {"result": "ok"}
    assert len(result.progress) <= 10_000


def test_settings_are_checked_and_secrets_not_shown() -> None:
    @dataclasses.dataclass
    class Settings:
        url: str
        token: Secret = dataclasses.field(default_factory=lambda: Secret(""))

    @process
    def show(job: Job) -> str:
        return f"{job.settings.url} {job.settings.token} {job.settings.token.reveal()}"

    result = run(show, settings_type=Settings, settings={"url": "u", "token": "t"})
    assert result.outputs == {"result": "u Secret(***) t"}
    assert "url" in run(show, settings_type=Settings, settings={}).error


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: process(lambda x: x), "is no id"),
        (lambda: process(isolation="own")(greet.function), "isolation 'own'"),
        (lambda: process(retry_on=["never"])(greet.function), "retry_on 'never'"),
        (lambda: process(timeout="soon")(greet.function), "timeout 'soon' is not a number of seconds"),  # type: ignore[call-overload]
        (lambda: process(retry_backoff=float("nan"))(greet.function), "retry_backoff nan"),
        (lambda: process(retry_attempts=-1)(greet.function), "retry_attempts -1 is not a whole number"),
        (lambda: process(max_concurrency=2.5)(greet.function), "max_concurrency 2.5"),  # type: ignore[call-overload]
    ],
)
def test_what_is_wrong_with_a_process_is_said_when_it_is_made(make: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        make()


def test_a_type_without_json_is_refused_by_name() -> None:
    def f(thing: object) -> str:
        return ""

    with pytest.raises(TypeError, match="f: input thing"):
        process(f)


def test_what_may_be_none_need_not_be_given() -> None:
    @dataclasses.dataclass
    class Inputs:
        name: Optional[str]
        times: int = 1

    @process
    def one(name: Optional[str], times: int) -> str:
        return f"{name} {times}"

    @process
    def all_of(inputs: Inputs) -> str:
        return f"{inputs.name} {inputs.times}"

    @process
    def within(inputs: Inputs, more: bool = False) -> str:
        return f"{inputs.name} {inputs.times}"

    assert run(one, times=2).outputs == {"result": "None 2"}
    assert run(all_of).outputs == {"result": "None 1"}
    assert run(within, inputs={}).outputs == {"result": "None 1"}


def test_types_of_typing_without_arguments_and_bare_collections_are_json() -> None:
    for annotation, schema_type in ((Dict, "object"), (List, "array"), (tuple, "array"), (set, "array")):

        def f(value: Any) -> Any:
            return value

        f.__annotations__ = {"value": annotation, "return": annotation}
        p = process(f)
        assert p.description["inputs"]["value"]["schema"] == {"type": schema_type}
        given: Any = {"a": 1} if schema_type == "object" else [1]
        assert run(p, value=given).outputs == {"result": given}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="typing has no NotRequired")
def test_a_member_of_a_typed_dict_may_be_left_out() -> None:
    Inputs = TypedDict("Inputs", {"a": int, "b": typing.NotRequired[str]})

    def f(inputs: Any) -> list[str]:
        return sorted(inputs)

    f.__annotations__ = {"inputs": Inputs, "return": list[str]}
    assert run(process(f), a=1).outputs == {"result": ["a"]}


def test_a_process_that_cannot_be_made_of_a_function_is_refused_with_a_sentence() -> None:
    async def waits() -> int:
        return 1

    def grows(node: Any, more: int = 0) -> int:
        return 1

    grows.__annotations__["node"] = Node
    with pytest.raises(TypeError, match="waits: a process is a plain function, not async"):
        process(waits)
    with pytest.raises(TypeError, match="grows: a class that contains itself"):
        process(grows)


@dataclasses.dataclass
class Node:
    children: "list[Node]"


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (float, float("nan"), "output result: NaN and Infinity are no JSON"),
        (Any, {"a": [float("inf")]}, "output result: NaN and Infinity are no JSON"),
        (Colour, "red", "output result: 'red' does not fit its type"),
        (Point, 5, "f returned 5, which has none of its outputs x, y"),
        (Point, None, "f returned None, which has none of its outputs x, y"),
    ],
)
def test_an_output_without_json_is_named(annotation: Any, value: Any, said: str) -> None:
    def f() -> Any:
        return value

    f.__annotations__ = {"return": annotation}
    assert said in str(run(process(f)).error)


def test_outputs_may_be_a_class_with_slots() -> None:
    @dataclasses.dataclass(slots=True)
    class Slim:
        a: int

    def f() -> Any:
        return Slim(3)

    f.__annotations__ = {"return": Slim}
    assert run(process(f)).outputs == {"a": 3}


def test_what_a_type_makes_of_a_value_that_it_cannot_hold_is_blamed_on_the_input() -> None:
    @process
    def f(x: float) -> float:
        return x

    assert run(f, x=10**400).faults[0][0] == "x"


def test_cancelled_is_no_exception_that_a_process_catches_by_accident() -> None:
    assert not issubclass(Cancelled, Exception)


def test_a_raw_process_is_described_by_itself() -> None:
    def stamp(job: Job, inputs: dict[str, Any]) -> dict[str, Any]:
        with open(inputs["picture"].path, "rb") as f:
            return {"stamped": Data(f.read() + b"!", "image/png"), "size": 1, "unknown": 2}

    described = {
        "id": "stamp",
        "inputs": {"picture": {"schema": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}}},
        "outputs": {"stamped": {"schema": {"type": "string"}}, "size": {"schema": {"type": "integer"}}},
    }
    p = raw(described, stamp, isolation="shared")
    assert p.description["jobControlOptions"] and p.policy.isolation == "shared"
    assert run(p, picture="aGk=").outputs == {"stamped": b"hi!", "size": 1}
    with pytest.raises(ValueError, match="has no outputs"):
        raw({"id": "nothing"}, stamp)
