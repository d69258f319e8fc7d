"""What processors import of pygeoapi, for where it is not installed.

pygeoapi brings many packages along that no processor needs. These are the
modules that processors are known to import: their base class, its errors, and
the name of the format. They are ours; only the names are those of pygeoapi.
"""

from __future__ import annotations

import http
import importlib.util
import sys
import types
from typing import Any

#: Short names of processors that pygeoapi itself has.
KNOWN = {
    "HelloWorld": "pygeoapi.process.hello_world.HelloWorldProcessor",
    "ShapelyFunctions": "pygeoapi.process.shapely_functions.ShapelyFunctionsProcessor",
    "Echo": "pygeoapi.process.echo.EchoProcessor",
}


class GenericError(Exception):
    """An error with a status and a code for the client."""

    ogc_exception_code = "NoApplicableCode"
    http_status_code = http.HTTPStatus.INTERNAL_SERVER_ERROR
    default_msg = "Unknown error"

    def __init__(self, msg: str | None = None, *args: Any, user_msg: str | None = None) -> None:
        super().__init__(msg or user_msg, *args)
        self.user_msg = user_msg

    @property
    def message(self) -> str:
        return self.user_msg or self.default_msg


class ProcessorGenericError(GenericError):
    """An error of a processor."""


class ProcessorExecuteError(ProcessorGenericError):
    """The execution failed."""

    default_msg = "generic error (check logs)"


class BaseProcessor:
    """What processors are derived from."""

    def __init__(self, processor_def: dict[str, Any], process_metadata: dict[str, Any]) -> None:
        self.name = processor_def["name"]
        self.metadata = process_metadata
        self.supports_outputs = False

    def set_job_id(self, job_id: str) -> None:
        """Told the id of the job before it executes."""

    def execute(self, data: dict[str, Any], outputs: Any = None) -> tuple[str, Any]:
        """Executes the process: returns the media type of the outputs, and these."""
        raise NotImplementedError


def install() -> bool:
    """Makes the modules importable if pygeoapi is not; reports whether it did."""
    if "pygeoapi" in sys.modules or importlib.util.find_spec("pygeoapi") is not None:
        return False
    contents: dict[str, dict[str, Any]] = {
        "pygeoapi": {"__version__": "0", "__path__": []},
        "pygeoapi.error": {"GenericError": GenericError},
        "pygeoapi.process": {"__path__": []},
        "pygeoapi.process.base": {
            "BaseProcessor": BaseProcessor,
            "ProcessorGenericError": ProcessorGenericError,
            "ProcessorExecuteError": ProcessorExecuteError,
        },
    }
    for name, content in contents.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    return True
