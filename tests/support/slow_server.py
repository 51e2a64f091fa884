"""A server on loopback that is silent, or answers a byte at a time for as long as anybody listens."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

SLOWNESS = {
    "silent": (b"", b""),
    "headers in drops": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "body in drops": (HEAD, b"1\r\n \r\n"),
}


@contextmanager
def slow_server(at_once: bytes, trickle: bytes, *, reads: bool = True) -> Iterator[tuple[str, list[bytes]]]:
    """Answer each connection with some bytes, then with others one by one without an end; none: silence.

    Gives: its URL, and the first line of each request. Args: `reads` requests at all.
    """
    over, asked = threading.Event(), list[bytes]()

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            if reads:
                asked.append(client.recv(65536).partition(b"\r\n")[0])
            client.sendall(at_once)
            while not over.wait(0.01):
                client.sendall(trickle)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=answer, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
