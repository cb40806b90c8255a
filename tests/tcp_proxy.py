"""A way to a server that can be cut and mended, for tests of what happens while it is cut."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK_BYTES = 64 * 1024


class TcpProxy:
    """Forwards connections on a loopback port of its own to a server, while it is open."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._is_cut = False
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.forwarded_bytes = 0

    def cut(self) -> None:
        """Break all connections; new ones are closed at once."""
        with self._lock:
            self._is_cut = True
            for each in list(self._peers):
                self._drop(each)

    def mend(self) -> None:
        """Let new connections through."""
        with self._lock:
            self._is_cut = False

    def transformed(self, source: socket.socket, data: bytes) -> bytes:
        """Give what is forwarded of what came from one side."""
        del source
        return data

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self.cut()
        self._listener.close()
        self._selector.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            for key, _ in self._selector.select(0.02):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._peers:
                        self._forward(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._is_cut:
            client.close()
            return
        server = socket.create_connection(self._target)
        self._peers |= {client: server, server: client}
        for each in (client, server):
            self._selector.register(each, selectors.EVENT_READ)

    def _forward(self, source: socket.socket) -> None:
        try:
            data = source.recv(_CHUNK_BYTES)
            if data:
                self._peers[source].sendall(self.transformed(source, data))
                self.forwarded_bytes += len(data)
                return
        except OSError:
            pass  # the other side is gone; so will be this one
        self._drop(source)

    def _drop(self, one: socket.socket) -> None:
        for each in (one, self._peers.get(one)):
            if each is not None and self._peers.pop(each, None) is not None:
                self._selector.unregister(each)
                each.close()


@contextmanager
def tcp_proxy(host: str, port: int) -> Iterator[TcpProxy]:
    proxy = TcpProxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
