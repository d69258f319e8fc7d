"""Processes for a Geomill host, written in Python.

A process is a function. Its parameters become the inputs, what it returns the
outputs; the host checks inputs before the function is called:

    from geomill import process, serve

    @process
    def greet(name: str, times: int = 1) -> str:
        return " ".join([f"Hello {name}!"] * times)

    serve(greet, name="greeter", version="1.0.0")
"""

import sys as _sys

if _sys.version_info < (3, 10):
    raise ImportError("geomill needs Python 3.10 or later, and this is %s: name another in the first line" % _sys.version.split()[0])

from ._errors import Cancelled, Failed, Invalid, Retry
from ._job import Job
from ._kinds import BBox, Data, Describe, Feature, FeatureCollection, File, Geometry, Secret
from ._process import Process, process, raw
from ._server import cannot_serve, serve

__all__ = [
    "BBox",
    "Cancelled",
    "Data",
    "Describe",
    "Failed",
    "Feature",
    "FeatureCollection",
    "File",
    "Geometry",
    "Invalid",
    "Job",
    "Process",
    "Retry",
    "Secret",
    "cannot_serve",
    "process",
    "raw",
    "serve",
]
