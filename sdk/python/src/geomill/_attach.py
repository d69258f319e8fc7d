"""A plugin that somebody started, under a debugger for example, and that hosts attach to."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

from ._family import at_fork
from ._server import Plugin, new_server
from ._session import Jobs

_LEAVING = 2.0  # seconds that a host which is gone may take to be noticed


class Attached(Plugin):
    """Serves one host after the other. What one tells it, such as to take no more jobs, is for that one only.

    A host is attached while it has a session.
    """

    def get_info(self, request: bytes, context: Any) -> bytes:
        import grpc

        if not self.jobs.vacant(_LEAVING):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another host is attached: end it first")
        before, self.jobs = self.jobs, Jobs(self.processes)  # the first call of a host
        before.close("another host attaches")
        return super().get_info(request, context)

    def shutdown(self, request: bytes, context: Any) -> bytes:
        self.jobs.end(None, "the host is gone")
        return b""

    def hold(self, request: Any, context: Any) -> Iterator[bytes]:
        gone = threading.Event()
        if context.add_callback(gone.set):
            gone.wait()
        return iter(())


def serve_attached(plugin: Attached) -> None:
    """Prints how to attach, and serves the hosts that do until the program is stopped."""
    logging.basicConfig(level=logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    at_fork(lambda: plugin.jobs.forked())  # of the host that is attached then
    with tempfile.TemporaryDirectory(prefix="geomill-attach-") as folder:  # for its owner only
        path = os.path.join(folder, "plugin")
        server = new_server(plugin)
        server.add_insecure_port("unix:" + path)
        server.start()
        print(f"geomill run --attach {path} PROCESS --input ID=VALUE", flush=True)
        try:
            server.wait_for_termination()
        except KeyboardInterrupt:
            pass
        finally:
            plugin.jobs.end(None, "the plugin ends")
            server.stop(grace=0).wait()
