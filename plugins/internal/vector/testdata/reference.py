"""Reference values for the tests of package vector; README.md says how to run it."""

import json
import math
import random

import pyproj
import shapely
from shapely.geometry import MultiPoint, Polygon, shape
from shapely.ops import unary_union

GEOD = pyproj.Geod(ellps="WGS84")
AREAS = ["Kenya", "Iceland", "Fiji", "Russia", "Antarctica", "Chile", "Canada", "South Africa", "Indonesia"]
BUFFERS = [
    ("Kenya", 10e3), ("Kenya", -20e3), ("Iceland", 100e3), ("Fiji", 25e3), ("Chile", 100e3), ("Chile", -10e3),
    ("Russia", -50e3), ("Antarctica", -100e3), ("Greenland", 900e3),
]
CENTRES = {"Russia": (100, 65), "Antarctica": (0, -90), "Fiji": (180, -17)}  # where the centroid of the drawing is far off
# Neighbours in a shifted copy give an overlay with many small pieces.
OVERLAY = ["Kenya", "Tanzania", "Uganda", "Rwanda", "Burundi", "Ethiopia", "Somalia", "S. Sudan", "Dem. Rep. Congo"]
SHIFT = (1.7, -0.9)


def load(name):
    with open(f"examples/data/{name}.geojson", encoding="utf-8") as file:
        return json.load(file)["features"]


COUNTRIES = {f["properties"]["name"]: shape(f["geometry"]) for f in load("countries")}
ZONES = {f["properties"]["zone"]: shape(f["geometry"]) for f in load("zones")}


def geodesic_area(geometry, step):
    """Area in square metres; a step in degrees makes edges straight in longitude and latitude."""
    if step:
        geometry = shapely.segmentize(geometry, step)
    return abs(GEOD.geometry_area_perimeter(shapely.geometry.polygon.orient(geometry) if geometry.geom_type == "Polygon"
                                            else shapely.MultiPolygon([shapely.geometry.polygon.orient(p) for p in geometry.geoms]))[0])


def geodesics():
    """Random lines of up to 5000 km: start, azimuth in degrees, metres, end."""
    random.seed(7)
    lines = []
    for _ in range(40):
        lon, lat = random.uniform(-180, 180), math.degrees(math.asin(random.uniform(-1, 1)))
        azimuth, metres = random.uniform(-180, 180), 10 ** random.uniform(0, 6.69)
        lon2, lat2, _ = GEOD.fwd(lon, lat, azimuth, metres)
        lines.append([lon, lat, azimuth, metres, lon2, lat2])
    return lines


def buffer_area(name, distance):
    """Area of a buffer, found in one equal-area projection about the feature, where each short stretch of border is
    the hull of two geodesic circles of 720 corners. Nothing of it is shared with the code under test."""
    geometry = COUNTRIES[name]
    lon, lat = CENTRES.get(name) or geometry.centroid.coords[0]
    plane = pyproj.Proj(proj="laea", lon_0=lon, lat_0=lat, ellps="WGS84")
    flat = unary_union([shapely.transform(shapely.segmentize(p, 0.05), plane, interleaved=False).buffer(0.5) for p in getattr(geometry, "geoms", [geometry])])
    flat = flat.buffer(-0.5)
    step = min(10e3, abs(distance) / 4)
    azimuths = [i / 2 for i in range(720)]

    def circle(x, y):
        lon, lat = plane(x, y, inverse=True)
        lons, lats, _ = GEOD.fwd([lon] * 720, [lat] * 720, azimuths, [abs(distance)] * 720)
        return list(zip(*plane(lons, lats)))

    hulls = []
    for polygon in getattr(flat, "geoms", [flat]):
        for ring in [polygon.exterior, *polygon.interiors]:
            circles = [circle(*corner) for corner in shapely.segmentize(ring.simplify(5), step).coords]
            hulls += [MultiPoint(a + b).convex_hull for a, b in zip(circles, circles[1:])]
    border = unary_union(hulls)
    return (flat.union(border) if distance > 0 else flat.difference(border)).area


def overlays():
    """Counts, and areas in square degrees and square metres, by operation."""
    a = {name: COUNTRIES[name] for name in OVERLAY}
    b = {name: shapely.transform(g, lambda x, y: (x + SHIFT[0], y + SHIFT[1]), interleaved=False) for name, g in a.items()}
    all_a, all_b = unary_union(list(a.values())), unary_union(list(b.values()))
    pairs = [g for x in a.values() for y in b.values() if (g := area_of(x.intersection(y)))]
    clip = [g for x in a.values() if (g := area_of(x.intersection(all_b)))]
    rest = [g for x in a.values() if (g := area_of(x.difference(all_b)))]
    others = [g for y in b.values() if (g := area_of(y.difference(all_a)))]
    pieces = {"clip": clip, "intersection": pairs, "difference": rest, "union": pairs + rest + others}
    return {name: {"count": len(g), "degrees2": sum(x.area for x in g), "metres2": sum(geodesic_area(x, 0.02) for x in g)}
            for name, g in pieces.items()}


def area_of(geometry):
    """The areas of an intersection, without the lines and points that touching gives."""
    polygons = [g for g in getattr(geometry, "geoms", [geometry]) if isinstance(g, Polygon) and g.area > 1e-12]
    return shapely.MultiPolygon(polygons) if polygons else None


def zones():
    """Square metres of land by zone."""
    return {zone: sum(geodesic_area(part, 0.02) for g in COUNTRIES.values() if (part := area_of(g.intersection(z))))
            for zone, z in ZONES.items()}


print(json.dumps({
    "geodesics": geodesics(),
    "areas": {name: {"straight": geodesic_area(COUNTRIES[name], 0.01), "geodesic": geodesic_area(COUNTRIES[name], 0)} for name in AREAS},
    "buffers": [{"name": name, "distance": d, "area": buffer_area(name, d)} for name, d in BUFFERS],
    "overlay": {"names": OVERLAY, "shift": SHIFT, "results": overlays()},
    "zones": zones(),
}, indent=1))
