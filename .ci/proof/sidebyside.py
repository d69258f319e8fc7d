"""Sends the same requests to pygeoapi and to this host with the same processors, and compares what comes back.

usage: sidebyside.py PYGEOAPI-URL HOST-URL
"""

import json
import sys
import urllib.error
import urllib.request

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]}
WKT = "POLYGON ((1 1, 3 1, 3 3, 1 3, 1 1))"


def shapely(operation, *geoms, **more):
    return "shapely-functions", {"inputs": {"operation": operation, "geoms": list(geoms), **more}}


GOOD = [
    ("hello-world", {"inputs": {"name": "hi there2"}}),
    ("hello-world", {"inputs": {"name": "Ada", "message": "How do you do?"}}),
    ("hello-world", {"inputs": {"name": "Ada"}, "response": "document"}),
    ("hello-world", {"inputs": {"name": "Zoë ☃"}, "outputs": {"echo": {}}}),
    shapely("measurement:area", SQUARE),
    shapely("measurement:distance", SQUARE, "POINT (5 2)"),
    shapely("measurement:bounds", WKT),
    shapely("predicates:covers", SQUARE, WKT),
    shapely("predicates:within", WKT, WKT),
    shapely("set:difference", SQUARE, WKT, output_format="wkt"),
    shapely("set:union", SQUARE, WKT, output_format="geojson"),
    shapely("constructive:buffer", SQUARE, output_format="geojson"),
    shapely("constructive:centroid", WKT, output_format="wkt"),
]
# pygeoapi wants the value of echo's input; that of its output is a string, which is what a host of the standard answers.
ECHO = ("echo", {"inputs": {"echoInput": "Test", "pause": 5.5}})
BAD = [
    ("hello-world", {"inputs": {}}),
    shapely("set:union", SQUARE, WKT),
    shapely("measurement:area", SQUARE, WKT),
    shapely("none:such", SQUARE),
]


def execute(url, process, request):
    body = json.dumps(request).encode()
    sent = urllib.request.Request(f"{url}/processes/{process}/execution", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(sent, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def main():
    theirs, ours = sys.argv[1:]
    wrong = 0
    for process, request in GOOD:
        expected, got = execute(theirs, process, request), execute(ours, process, request)
        if expected != got or expected[0] != 200:
            wrong += 1
            print(f"DIFFERS {process} {json.dumps(request)}\n  pygeoapi {expected}\n  here     {got}")
    expected, got = execute(theirs, *ECHO), execute(ours, *ECHO)
    if expected != (200, {"id": "echoOutput", "value": "Test"}) or got != (200, "Test"):
        wrong += 1
        print(f"DIFFERS echo\n  pygeoapi {expected}\n  here     {got}")
    for process, request in BAD:
        expected, got = execute(theirs, process, request), execute(ours, process, request)
        if not (400 <= expected[0] < 600 and 400 <= got[0] < 600):
            wrong += 1
            print(f"NOT REFUSED {process} {json.dumps(request)}\n  pygeoapi {expected}\n  here     {got}")
    print(f"{len(GOOD) + 1} results compared, {len(BAD)} refusals, {wrong} differ")
    sys.exit(wrong > 0)


main()
