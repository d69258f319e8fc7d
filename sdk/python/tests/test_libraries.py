"""The types of libraries that users have."""

from typing import Annotated, Any

import numpy
import pydantic
import pytest
import shapely
from geomill import process
from geomill.testing import run


class Inputs(pydantic.BaseModel):
    distance: float = pydantic.Field(gt=0, description="In metres")
    tags: list[str] = []

    @pydantic.model_validator(mode="after")
    def few(self) -> "Inputs":
        if len(self.tags) > 2:
            raise ValueError("too many tags")
        return self


class Outputs(pydantic.BaseModel):
    twice: float
    first: str | None = None


@process
def double(inputs: Inputs) -> Outputs:
    return Outputs(twice=2 * inputs.distance, first=next(iter(inputs.tags), None))


def test_a_model_of_pydantic_has_all_inputs_and_all_outputs() -> None:
    inputs = double.description["inputs"]
    assert inputs["distance"] == {"description": "In metres", "schema": {"type": "number", "exclusiveMinimum": 0}}
    assert inputs["tags"]["minOccurs"] == 0
    assert set(double.description["outputs"]) == {"twice", "first"}
    assert run(double, distance=2, tags=["a"]).outputs == {"twice": 4.0, "first": "a"}
    assert run(double, distance=2).outputs == {"twice": 4.0}


def test_what_a_model_finds_wrong_is_blamed_on_its_input() -> None:
    assert run(double, distance=-1).faults == [("distance", "", "Input should be greater than 0")]
    assert "too many tags" in run(double, distance=1, tags=["a", "b", "c"]).faults[0][2]


def test_constraints_of_pydantic_hold_for_a_parameter() -> None:
    @process
    def half(value: Annotated[int, pydantic.Field(ge=2)]) -> float:
        return value / 2

    assert half.description["inputs"]["value"]["schema"] == {"type": "integer", "minimum": 2}
    assert run(half, value=1).faults[0][0] == "value"
    assert run(half, value=5).outputs == {"result": 2.5}


def test_geometries_of_shapely_are_geojson() -> None:
    @process
    def grow(area: shapely.Polygon, by: float) -> shapely.Polygon:
        return area.buffer(by, join_style="mitre")

    assert grow.description["inputs"]["area"]["schema"]["$ref"] == "https://geojson.org/schema/Polygon.json"
    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}
    grown = run(grow, area=square, by=1).outputs["result"]
    assert shapely.geometry.shape(grown).area == pytest.approx(9)
    assert run(grow, area={"type": "Point", "coordinates": [0, 0]}, by=1).faults == [("area", "", "is a Point, not a Polygon")]


def test_arrays_and_numbers_of_numpy_are_json() -> None:
    @process
    def statistics(values: numpy.ndarray) -> dict[str, Any]:
        return {"mean": values.mean(), "shape": values.shape, "sorted": numpy.sort(values)}

    assert run(statistics, values=[3, 1, 2]).outputs == {"result": {"mean": 2.0, "shape": [3], "sorted": [1, 2, 3]}}


def test_any_geometry_of_shapely_is_taken_by_either_name() -> None:
    for annotation in (shapely.Geometry, shapely.geometry.base.BaseGeometry):

        def f(g: Any) -> Any:
            return g.centroid

        f.__annotations__ = {"g": annotation, "return": annotation}
        p = process(f)
        assert p.description["inputs"]["g"]["schema"]["$ref"].endswith("/Geometry.json")
        assert run(p, g={"type": "Point", "coordinates": [1, 2]}).outputs == {"result": {"type": "Point", "coordinates": [1.0, 2.0]}}
