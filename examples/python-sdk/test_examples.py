"""The examples run over the wire, on real data."""

import importlib.machinery
import importlib.util
import json
import pathlib
import types

import numpy as np
import pytest
from geomill import File
from geomill.testing import run

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent / "data"


def load(name: str) -> types.ModuleType:
    """Imports an example: a file without .py, as plugins are named."""
    loader = importlib.machinery.SourceFileLoader(name, str(HERE / name))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def area(geometry: dict) -> float:
    return pytest.importorskip("shapely").geometry.shape(geometry).area


def test_the_hull_of_countries() -> None:
    pytest.importorskip("shapely")
    countries = json.loads((DATA / "countries.geojson").read_text())
    hull = load("hull").hull
    countries["features"] = [f for f in countries["features"] if f["properties"]["name"] in ("France", "Spain", "Portugal")]
    convex = run(hull, features=countries).outputs["result"]["features"]
    assert len(convex) == 1
    each = run(hull, features=countries, kind="rectangle", each=True)
    outlines = each.outputs["result"]["features"]
    assert [f["properties"]["name"] for f in outlines] == [f["properties"]["name"] for f in countries["features"]]
    assert all(area(o["geometry"]) >= area(f["geometry"]) for o, f in zip(outlines, countries["features"], strict=True))
    assert each.progress[-1][0] < 100
    assert run(hull, features={"type": "FeatureCollection", "features": []}).faults == [("features", "/features", "there is none")]


def test_the_relief_of_a_fault(tmp_path: pathlib.Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    hillshade = load("hillshade").hillshade
    dem = File(DATA / "jacksboro.tif", "image/tiff; application=geotiff")
    whole, strips = run(hillshade, elevation=dem), run(hillshade, elevation=dem, rows=7)
    assert whole.outputs["relief"][:4] == b"II*\0"

    def pixels(content: bytes) -> np.ndarray:
        with rasterio.MemoryFile(content) as file, file.open() as raster:
            assert raster.crs.to_epsg() == 4326
            return raster.read(1)

    relief = pixels(whole.outputs["relief"])
    assert relief.shape == (200, 200) and relief.std() > 10
    assert relief.mean() == pytest.approx(whole.outputs["mean"])
    # Strips differ only by the latitude that the width of a cell is taken at.
    assert np.abs(relief.astype(int) - pixels(strips.outputs["relief"])).max() <= 1
    flat = run(hillshade, elevation=dem, altitude=90).outputs["mean"]
    assert flat > whole.outputs["mean"]
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no raster")
    assert run(hillshade, elevation=File(broken, "image/tiff")).faults == [("elevation", "", "is no raster that can be read")]


def test_a_light_from_the_east_lights_what_falls_to_the_east(tmp_path: pathlib.Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    ramp = tmp_path / "ramp.tif"  # 1 metre down for each metre to the east
    with rasterio.open(ramp, "w", driver="GTiff", height=20, width=20, count=1, dtype="float32", crs="EPSG:32633",
                       transform=rasterio.transform.from_origin(0, 0, 1, 1)) as f:
        f.write(np.tile(-np.arange(20, dtype="float32"), (20, 1)), 1)
    hillshade = load("hillshade").hillshade
    dem = File(ramp, "image/tiff; application=geotiff")
    east, west = (run(hillshade, elevation=dem, azimuth=a).outputs["relief"] for a in (90, 270))
    with rasterio.MemoryFile(east) as file, file.open() as raster:
        assert raster.read(1)[10, 10] == 255  # the light falls in at a right angle
    with rasterio.MemoryFile(west) as file, file.open() as raster:
        assert raster.read(1)[10, 10] == 0
