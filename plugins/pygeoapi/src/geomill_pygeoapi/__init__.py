"""Serves processors that were written for pygeoapi, as they are.

The program is the interpreter of a configuration, which is itself the plugin:
its first line names this program, the rest is YAML as pygeoapi has it.
"""

from __future__ import annotations

import sys

from geomill import cannot_serve, serve

from ._configuration import Wrong, read
from ._processor import load


def main() -> None:
    """Reads the configuration that the first argument names and serves its processors."""
    path, sys.argv[1:] = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    try:
        if not path:
            raise Wrong("geomill-pygeoapi is started by the first line of a configuration: #!/path/of/geomill-pygeoapi")
        configuration = read(path)
        processes = [load(p) for p in configuration.processors]
    except Wrong as fault:
        cannot_serve(str(fault))
    serve(*processes, name=configuration.name, version=configuration.version)
