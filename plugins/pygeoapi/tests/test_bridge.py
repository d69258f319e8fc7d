"""Processors run as they are, with pygeoapi or without."""

import base64
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from geomill import Data
from geomill.testing import run
from geomill_pygeoapi import _shim
from geomill_pygeoapi._configuration import Processor, Wrong, read
from geomill_pygeoapi._description import describe
from geomill_pygeoapi._processor import load, named

_shim.install()
base = importlib.import_module("pygeoapi.process.base")

METADATA: dict[str, Any] = {
    "version": "0.1.0",
    "id": "ours",
    "title": {"en": "Ours", "de": "Unser"},
    "description": "Does what it is told.",
    "keywords": ["a", "b"],
    "jobControlOptions": ["sync-execute"],
    "links": [{"href": "https://example.org"}],
    "inputs": {
        "how": {"title": {"en": "How", "de": "Wie"}, "schema": {"type": "string"}, "minOccurs": 1, "maxOccurs": 1},
        "odd": {"schema": {"type": "nonsense"}, "minOccurs": 0},
        "two": {"schema": {"oneOf": [{"type": "number"}, {"type": "integer"}]}, "minOccurs": 0},
        "far": {"schema": {"$ref": "https://example.org/far.json"}, "minOccurs": 0},
    },
    "outputs": {"answer": {"schema": {"type": "object"}}, "other": {"schema": {"type": "string"}}},
}


class Refused(base.ProcessorExecuteError):
    http_status_code = 400


class Ours(base.BaseProcessor):
    def __init__(self, processor_def: dict[str, Any]) -> None:
        super().__init__(processor_def, METADATA)
        self.supports_outputs = True
        self.prefix, self.job_id = processor_def.get("prefix", ""), ""

    def set_job_id(self, job_id: str) -> None:
        self.job_id = job_id

    def execute(self, data: dict[str, Any], outputs: Any = None) -> tuple[str, Any]:
        how = data["how"]
        if how == "refuse":
            raise Refused("internal", user_msg="not that")
        if how == "fail":
            raise base.ProcessorExecuteError("it broke")
        if how == "crash":
            raise KeyError("x")
        if how == "bytes":
            return "image/png", b"\x89PNG"
        if how == "outputs":
            return "application/json", [{"id": "other", "value": sorted(outputs or {})}]
        assert self.job_id
        return "application/json", {"id": "answer", "value": self.prefix + how}


@pytest.fixture
def ours() -> Any:
    module = types.ModuleType("processors_of_the_test")
    module.Ours = Ours  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    return load(Processor("ours", {"name": "processors_of_the_test.Ours", "prefix": ">"}, {"isolation": "shared"}))


def test_a_processor_becomes_a_process(ours: Any) -> None:
    assert ours.description["title"] == "Ours" and ours.policy.isolation == "shared"
    assert run(ours, how="x").outputs == {"answer": {"id": "answer", "value": ">x"}}
    assert run(ours, how="bytes").outputs == {"answer": b"\x89PNG"}
    assert run(ours, how="outputs", outputs=["other"]).outputs == {"other": ["other"]}
    assert run(ours, how="outputs").outputs == {"other": []}


def test_errors_keep_their_status_and_text(ours: Any) -> None:
    refused = run(ours, how="refuse")
    assert (refused.error, refused.status, refused.code) == ("not that", 400, "NoApplicableCode")
    failed = run(ours, how="fail")
    assert (failed.error, failed.status) == ("it broke", 500)
    assert run(ours, how="crash").error == "KeyError: 'x'"


def test_metadata_becomes_a_description(caplog: pytest.LogCaptureFixture) -> None:
    described = describe("ours", METADATA)
    assert described["language"] == "en"
    assert described["translations"] == {"de": {"title": "Unser", "inputs": {"how": {"title": "Wie"}}}}
    assert described["jobControlOptions"] == ["sync-execute", "dismiss"]
    assert "links" not in described
    assert described["inputs"]["how"] == {"title": "How", "schema": {"type": "string"}, "minOccurs": 1, "maxOccurs": 1}
    assert described["inputs"]["odd"]["schema"] == {} and described["inputs"]["far"]["schema"] == {}
    assert described["inputs"]["two"]["schema"] == {"anyOf": [{"type": "number"}, {"type": "integer"}]}
    assert "inputs.odd" in caplog.text and "far.json" in caplog.text


@pytest.mark.parametrize(
    ("media_type", "result", "outputs"),
    [
        ("application/json", {"id": "text", "value": "a"}, {"text": "a"}),
        ("application/json", {"id": "thing", "value": 1}, {"thing": {"id": "thing", "value": 1}}),
        ("application/json", {"id": "thing", "value": {"a": 1}}, {"thing": {"a": 1}}),
        ("application/json", [{"id": "text", "value": "a"}, {"id": "thing", "value": {}}], {"text": "a", "thing": {}}),
        ("application/json", {"outputs": [{"id": "text", "value": "a"}]}, {"text": "a"}),
        ("application/json", {"outputs": {"text": "a", "thing": {}}}, {"text": "a", "thing": {}}),
        ("application/json", {"text": "a"}, {"text": "a"}),
        ("application/json", {"area": 3}, {"thing": {"area": 3}}),
        ("application/json", {}, {}),
        ("application/json", [1, 2], {"thing": [1, 2]}),
        ("application/json", "words", {"thing": "words"}),
        ("text/html", "<p>", {"thing": Data(b"<p>", "text/html")}),
        ("image/png", b"p", {"thing": Data(b"p", "image/png")}),
    ],
)
def test_outputs_are_found_in_every_form_of_result(media_type: str, result: Any, outputs: Any) -> None:
    declared = {"thing": {"schema": {"type": "object"}}, "text": {"schema": {"type": "string"}}}
    assert named(media_type, result, declared) == outputs


def test_bytes_come_to_a_processor_as_in_the_request() -> None:
    class Size(base.BaseProcessor):
        def __init__(self, processor_def: dict[str, Any]) -> None:
            picture = {"schema": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}}
            super().__init__(processor_def, {"inputs": {"picture": picture}, "outputs": {"size": {"schema": {"type": "integer"}}}})

        def execute(self, data: dict[str, Any], outputs: Any = None) -> tuple[str, Any]:
            return "application/json", {"size": len(base64.b64decode(data["picture"]))}

    module = types.ModuleType("size_of_the_test")
    module.Size = Size  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    size = load(Processor("size", {"name": "size_of_the_test.Size"}, {}))
    assert run(size, picture="aGkh").outputs == {"size": 3}


def test_the_configuration_is_that_of_pygeoapi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREETING", "hi")
    file = tmp_path / "plugin"
    file.write_text(
        "#!/usr/bin/env geomill-pygeoapi\n"
        "plugin: {name: mine, version: 2.0.0}\n"
        "server: {bind: {port: 5000}}\n"
        "resources:\n"
        "  lakes: {type: collection}\n"
        "  hello: {type: process, processor: {name: HelloWorld, greeting: '${GREETING}', other: '${NONE:-x}'}, policy: {isolation: job}}\n"
    )
    c = read(str(file))
    assert (c.name, c.version) == ("mine", "2.0.0")
    assert c.processors == [Processor("hello", {"name": "HelloWorld", "greeting": "hi", "other": "x"}, {"isolation": "job"})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("server: {}", "no mapping named resources"),
        ("resources: {lakes: {type: collection}}", "no resource with type: process"),
        ("resources: {p: {type: process}}", "resources.p: needs processor"),
        ("resources: {p: {type: process, processor: {name: A}, policy: {color: red}}}", "resources.p.policy"),
        ("resources: {p: {type: process, processor: {name: '${NOWHERE}'}}}", "variable NOWHERE"),
        ("plugin: {name: A B}\nresources: {p: {type: process, processor: {name: A}}}", "plugin.name: 'A B'"),
        ("plugin: mine\nresources: {p: {type: process, processor: {name: A}}}", "plugin: has to be a mapping"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "plugin"
    file.write_text(text)
    with pytest.raises(Wrong, match=said):
        read(str(file))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nobody", "there is no processor Nobody"),
        ("no.such.Class", "cannot import no.such.Class"),
        ("json.Class", "json has no class Class"),
        ("json.JSONDecoder", "JSONDecoder cannot be made"),
    ],
)
def test_a_processor_that_cannot_be_had_is_named(name: str, said: str) -> None:
    with pytest.raises(Wrong, match=said):
        load(Processor("p", {"name": name}, {}))


class Forgetful(base.BaseProcessor):
    def __init__(self, processor_def: dict[str, Any]) -> None:
        self.database = processor_def["made"].database


class Silent(base.BaseProcessor):
    def __init__(self, processor_def: dict[str, Any]) -> None:
        pass


class Odd(base.BaseProcessor):
    def __init__(self, processor_def: dict[str, Any]) -> None:
        super().__init__(processor_def, processor_def["metadata"])

    def execute(self, data: dict[str, Any], outputs: Any = None) -> Any:
        return eval(data["returns"])


_ODD = {"inputs": {"returns": {"schema": {"type": "string"}}}, "outputs": {"a": {"schema": {}}}}


@pytest.mark.parametrize(
    ("made", "definition", "policy", "said"),
    [
        (Forgetful, {"made": None}, {}, "Made cannot be made: AttributeError"),
        (Silent, {}, {}, "p: Made has no metadata"),
        (Odd, {"metadata": "text"}, {}, "p: Made has no metadata"),
        (Odd, {"metadata": {"inputs": ["x"]}}, {}, "p: the metadata of Made cannot be read"),
        (Odd, {"metadata": {"id": "p"}}, {}, "p has no outputs"),
        (Odd, {"metadata": _ODD}, {"timeout": "soon"}, "p: timeout 'soon'"),
    ],
)
def test_a_processor_that_cannot_be_served_is_refused_with_a_sentence(made: Any, definition: Any, policy: Any, said: str) -> None:
    module = types.ModuleType("odd_processors_of_the_test")
    module.Made = made  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    with pytest.raises(Wrong, match=said):
        load(Processor("p", {"name": "odd_processors_of_the_test.Made", **definition}, policy))


def test_what_is_no_result_is_named_and_no_media_type_is_json() -> None:
    module = types.ModuleType("odd_processors_of_the_test")
    module.Odd = Odd  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    odd = load(Processor("p", {"name": "odd_processors_of_the_test.Odd", "metadata": _ODD}, {}))
    for returns in ("None", "'application/json'", "('a', 'b', 'c')", "(5, {})"):
        assert "Odd.execute returned" in run(odd, returns=returns).error
    assert run(odd, returns="(None, 'x')").outputs == {"a": "x"}


def test_the_shim_stands_back_where_pygeoapi_is() -> None:
    real = importlib.util.find_spec("pygeoapi") if "pygeoapi" not in sys.modules else None
    assert real is None  # the shim, or pygeoapi, is there by now
    assert not _shim.install()
