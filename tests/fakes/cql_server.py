"""As much of a Cassandra as it takes to refuse a login.

Source: "CQL BINARY PROTOCOL v4", sections 2 (frames) and 4.1.1, 4.1.2, 4.2.1, 4.2.3 (messages).
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ERROR, _STARTUP, _AUTHENTICATE, _OPTIONS, _SUPPORTED, _AUTH_RESPONSE = 0x00, 0x01, 0x03, 0x05, 0x06, 0x0F
_VERSION = 4
_BAD_VERSION, _BAD_CREDENTIALS = 0x000A, 0x0100
_AUTHENTICATOR = "org.apache.cassandra.auth.PasswordAuthenticator"


class _Refusing(socketserver.StreamRequestHandler):
    """Speaks version 4 only, asks for a password, and takes none."""

    server: _Server

    def handle(self) -> None:
        while len(header := self.rfile.read(9)) == 9:
            version, _, stream, opcode, length = struct.unpack(">BBhBI", header)
            body = self.rfile.read(length)
            if version != _VERSION:
                text = f"Invalid or unsupported protocol version ({version}); the greatest is {_VERSION}"
                self._answer(stream, _ERROR, struct.pack(">I", _BAD_VERSION) + _string(text))
            elif opcode == _OPTIONS:
                options = _string("CQL_VERSION") + _list("3.4.5") + _string("COMPRESSION") + _list()
                self._answer(stream, _SUPPORTED, struct.pack(">H", 2) + options)
            elif opcode == _STARTUP:
                self._answer(stream, _AUTHENTICATE, _string(_AUTHENTICATOR))
            elif opcode == _AUTH_RESPONSE:
                _, user, password = body[4:].split(b"\0")
                self.server.logins.append((user.decode(), password.decode()))
                text = f"Provided username {user.decode()} and/or password are incorrect"
                self._answer(stream, _ERROR, struct.pack(">I", _BAD_CREDENTIALS) + _string(text))

    def _answer(self, stream: int, opcode: int, body: bytes) -> None:
        self.wfile.write(struct.pack(">BBhBI", 0x80 | _VERSION, 0, stream, opcode, len(body)) + body)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    logins: list[tuple[str, str]]


@contextmanager
def refusing_cassandra() -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """Serve on loopback; give the port, and the logins that were tried so far."""
    with _Server(("127.0.0.1", 0), _Refusing) as server:
        server.logins = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1], server.logins
        finally:
            server.shutdown()
            thread.join()


def _string(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def _list(*texts: str) -> bytes:
    return struct.pack(">H", len(texts)) + b"".join(map(_string, texts))
