"""Runs on a node: answers /small with a few bytes and /big with 256 MiB, fast enough not to be what is measured."""

import selectors
import socket

SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
BIG = 256 << 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: application/octet-stream\r\n\r\n" % BIG
CHUNK = memoryview(bytes(1 << 20))

listener = socket.create_server(("0.0.0.0", 8000), backlog=512)
listener.setblocking(False)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
left = {}


def forget(connection):
    selector.unregister(connection)
    left.pop(connection, None)
    connection.close()


while True:
    for key, events in selector.select():
        connection = key.fileobj
        if connection is listener:
            new, _ = listener.accept()
            new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            new.setblocking(False)
            selector.register(new, selectors.EVENT_READ)
            continue
        try:
            if events & selectors.EVENT_WRITE:
                left[connection] -= connection.send(CHUNK[: min(left[connection], len(CHUNK))])
                if left[connection] == 0:
                    selector.modify(connection, selectors.EVENT_READ)
                continue
            data = connection.recv(65536)
            if not data:
                forget(connection)
            elif data.startswith(b"GET /big"):
                connection.send(HEAD)
                left[connection] = BIG
                selector.modify(connection, selectors.EVENT_WRITE)
            else:
                connection.send(SMALL * data.count(b"\r\n\r\n"))
        except BlockingIOError:
            pass
        except OSError:
            forget(connection)
