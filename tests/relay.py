"""A relay before a real server, with which tests count, cut and alter what goes over the wire."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

SIZE = 65_536


class Relay:
    """Accepts connections on loopback and passes bytes on both ways.

    ``wire(sent, data)`` is asked before ``data`` is passed on, the server's way (``sent`` is True) or the client's: it returns what
    is to be passed on, or None to cut all connections there are.
    """

    def __init__(self, port: int, wire: Callable[[bool, bytes], bytes | None]) -> None:
        self._target = port
        self._wire = wire
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it with all its connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            for sent, source, to in ((True, client, server), (False, server, client)):
                threading.Thread(target=self._pass, args=(sent, source, to), daemon=True).start()

    def _pass(self, sent: bool, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(SIZE):
                passed = self._wire(sent, data)
                if passed is None:
                    self._cut()
                    break
                to.sendall(passed)
        for end in (source, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            with self._lock:
                self._open.discard(end)

    def _cut(self) -> None:
        with self._lock:
            cut, self._open = self._open, set()
        for end in cut:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
