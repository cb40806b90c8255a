"""A port to listen at."""

from __future__ import annotations

import socket

from ticktrail.errors import PortTaken

__all__ = ["listen"]


def listen(host: str, port: int) -> socket.socket:
    """Take a port; 0 takes one that is free.

    Raises
    ------
    PortTaken
        Somebody else has it, or the host is none of this machine.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            what=f"Cannot listen at {host}, port {port}",
            why=error.strerror or str(error),
            next_step="Choose another one: --set serve.port=0 takes any that is free.",
            port=port,
        ) from error
    return listener
