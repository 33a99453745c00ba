"""Other people's RTMP server behind doors that it does not have itself: RTMP through HTTP, and TLS.

Both are written here from the ground, on sockets and threads, so that nothing of the server under test judges itself.
"""

import itertools
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from tests.certificates import make_certificate


class TunnelGate:
    """An RTMPT server that hands the bytes of its sessions on to an RTMP server; open as long as its context lasts.

    `commands` are the requests that came, in order: open, send, idle, close.
    """

    def __init__(self, rtmp_port: int) -> None:
        self.commands: list[str] = []
        self._numbers = itertools.count(1)
        self._sessions: dict[str, socket.socket] = {}
        self._rtmp_port = rtmp_port
        gate = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                reply = gate.answer(self.path.split("/")[1:], body)
                self.send_response(200 if reply else 404)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def answer(self, path: list[str], body: bytes) -> bytes:
        """The reply to one request; empty for 404."""
        self.commands.append(path[0])
        if path[0] == "open":
            name = f"{next(self._numbers):016d}"
            self._sessions[name] = socket.create_connection(("127.0.0.1", self._rtmp_port))
            return name.encode() + b"\n"
        session = self._sessions.get(path[1])
        if session is None:
            return b""
        if path[0] == "close":
            self._sessions.pop(path[1]).close()
            return b"\0"
        if path[0] == "send":
            session.settimeout(5)
            session.sendall(body)
        waiting = _receive_all(session)
        return b"" if waiting is None else b"\1" + waiting

    def __enter__(self) -> "TunnelGate":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        for session in self._sessions.values():
            session.close()


def _receive_all(session: socket.socket) -> bytes | None:
    """What has come, without waiting; None when the other side has closed."""
    session.setblocking(False)
    parts = []
    try:
        while part := session.recv(1 << 16):
            parts.append(part)
    except BlockingIOError:
        return b"".join(parts)
    return b"".join(parts) or None


class TlsGate:
    """A TLS server that hands the bytes of its connections on to an RTMP server; open as long as its context lasts."""

    def __init__(self, rtmp_port: int, folder: Path) -> None:
        key, certificate = make_certificate().write(folder, "gate")
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificate, key)
        self._names: list[str | None] = []
        self._context.sni_callback = lambda connection, name, context: self._names.append(name)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._rtmp_port = rtmp_port
        self.port = self._listener.getsockname()[1]

    @property
    def names(self) -> list[str | None]:
        """The server names that clients have asked for."""
        return self._names

    def __enter__(self) -> "TlsGate":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with (
                self._context.wrap_socket(connection, server_side=True) as near,
                socket.create_connection(("127.0.0.1", self._rtmp_port)) as far,
            ):
                self._relay(near, far)
        except OSError:
            return

    def _relay(self, near: ssl.SSLSocket, far: socket.socket) -> None:
        """Hand on in both directions. One thread does both, because OpenSSL allows no two at one connection."""
        near.settimeout(0.005)
        while True:
            try:
                data = near.recv(1 << 16)
                if not data:
                    return
                far.settimeout(5)
                far.sendall(data)
            except TimeoutError:
                pass
            waiting = _receive_all(far)
            if waiting is None:
                return
            if waiting:
                near.settimeout(5)
                near.sendall(waiting)
                near.settimeout(0.005)
            time.sleep(0)
