"""An object store on this machine, and a proxy before it that gives trouble when told to."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# What a request is answered with: a status, "drop", "stall", or None for what the store says.
Trouble = int | str | None
STALL = 1.5  # seconds
_CODES = {403: "ExpiredToken", 404: "NoSuchKey", 503: "SlowDown", 500: "InternalError"}


@contextlib.contextmanager
def object_server() -> Iterator[str]:
    """Run a server that speaks the S3 protocol, and yield its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"{url}/moto-api/", process)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(url: str, server: subprocess.Popen) -> None:
    for _ in range(300):
        assert server.poll() is None, "the S3 server has ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(url)


class Proxy:
    """A proxy that passes requests on, or not.

    Attributes
    ----------
    url : str
    trouble : callable
        From the method, the path and the number of a request to what becomes of it.
    answers : Counter
        How often it gave which trouble.
    """

    def __init__(self, upstream: str) -> None:
        self.trouble: Callable[[str, str, int], Trouble] = lambda *request: None
        self.answers: Counter[Trouble] = Counter()
        self._upstream = upstream.removeprefix("http://")
        self._count, self._lock = 0, threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy._answer(self)

            do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        with self._lock:
            self._count += 1
            trouble = self.trouble(request.command, request.path, self._count)
            self.answers[trouble] += 1
        if trouble == "drop":
            request.close_connection = True
            return
        if trouble == "stall":
            time.sleep(STALL)
            request.close_connection = True
            return
        if trouble is None:
            status, headers, content = self._pass_on(request, body)
        else:
            code = _CODES[int(trouble)]
            text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
            status, headers, content = int(trouble), [], text.encode()
            headers = [("Content-Length", str(len(content)))]
        with contextlib.suppress(ConnectionError):  # clients that have had enough
            request.send_response_only(status)
            for name, value in headers:
                request.send_header(name, value)
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(content)

    def _pass_on(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self._upstream, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest(
                request.command, request.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        hop = {"transfer-encoding", "connection", "keep-alive"}
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in hop]
        if not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(content))))
        return answer.status, headers, content
