"""Bare sockets for measuring: WebSocket frames and HTTP heads with as little Python between as possible."""

import base64
import json
import os
import selectors
import socket
import struct
import threading
import time


class WebSocket:
    """A client's end, blocking. Frames are masked with zeros, which is allowed and costs nothing."""

    def __init__(self, port, path, cookies, protocol, timeout=30, source="127.0.0.1"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)
        self.view = memoryview(self.buffer)
        self.start = self.end = 0
        head = (
            f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Sec-WebSocket-Protocol: {protocol}\r\nCookie: {cookies}\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        while (at := self.buffer.find(b"\r\n\r\n", 0, self.end)) < 0:
            self.fill()
        answer = bytes(self.view[:at])
        if b" 101 " not in answer.split(b"\r\n", 1)[0]:
            raise RuntimeError(f"{path}: {answer.decode('latin-1')}")
        self.start = at + 4

    def fill(self):
        if self.start == self.end:
            self.start = self.end = 0
        elif self.end == len(self.buffer) or self.start > len(self.buffer) // 2:
            kept = self.end - self.start
            self.buffer[:kept] = self.buffer[self.start : self.end]
            self.start, self.end = 0, kept
        if self.end == len(self.buffer):
            grown = bytearray(len(self.buffer) * 2)
            grown[: self.end] = self.buffer
            self.buffer, self.view = grown, memoryview(grown)
        count = self.socket.recv_into(self.view[self.end :])
        if count == 0:
            raise ConnectionError("the server closed the connection")
        self.end += count

    def frame(self):
        """The next frame that is already in the buffer, as (opcode, view), or None."""
        have = self.end - self.start
        if have < 2:
            return None
        second = self.buffer[self.start + 1]
        head = 2
        length = second & 127
        if length == 126:
            if have < 4:
                return None
            (length,), head = struct.unpack_from(">H", self.buffer, self.start + 2), 4
        elif length == 127:
            if have < 10:
                return None
            (length,), head = struct.unpack_from(">Q", self.buffer, self.start + 2), 10
        if have < head + length:
            return None
        opcode = self.buffer[self.start] & 15
        payload = self.view[self.start + head : self.start + head + length]
        self.start += head + length
        return opcode, payload

    def receive(self):
        while True:
            found = self.frame()
            if found is None:
                self.fill()
            elif found[0] == 9:
                self.send(bytes(found[1]), 10)
            elif found[0] == 8:
                raise ConnectionError(f"closed by the server: {bytes(found[1])!r}")
            elif found[0] != 10:
                return found

    def send(self, payload, opcode=2):
        length = len(payload)
        if length < 126:
            head = struct.pack(">BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            head = struct.pack(">BBH", 0x80 | opcode, 0xFE, length)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0xFF, length)
        self.socket.sendall(head + b"\0\0\0\0" + payload)

    def close(self):
        self.socket.close()


class Terminal(WebSocket):
    """`lectern.terminal.v1` as the page speaks it."""

    ACK_BYTES = 256 << 10

    def __init__(self, server, person, lab, node="node1", name="1", columns=120, rows=40, source="127.0.0.1"):
        viewer = os.urandom(8).hex()
        super().__init__(
            server.port,
            f"/api/v1/labs/{lab}/nodes/{node}/terminals/{name}?columns={columns}&rows={rows}&viewer={viewer}",
            person.cookies, "lectern.terminal.v1", source=source,
        )
        self.offset = self.acknowledged = 0
        self.tail = b""

    def type(self, text):
        self.send(b"\x00" + (text if isinstance(text, bytes) else text.encode()))

    def output(self):
        """The next output as bytes or view; events and repaints are passed over."""
        while True:
            _, payload = self.receive()
            kind = payload[0] if len(payload) else None
            if kind in (0, 2):
                (offset,) = struct.unpack_from(">Q", payload, 1)
                data = payload[9:]
                self.offset = offset + (len(data) if kind == 0 else 0)
                if self.offset - self.acknowledged >= self.ACK_BYTES:
                    self.send(struct.pack(">BQ", 2, self.offset))
                    self.acknowledged = self.offset
                return data

    def until(self, text, seconds=30):
        """Reads until `text` was shown; returns how many bytes came."""
        wanted = text.encode()
        end = time.monotonic() + seconds
        count = 0
        while True:
            data = self.output()
            count += len(data)
            tail = self.tail + bytes(data[-4096:]) if len(data) <= 4096 else bytes(data[-4096:])
            if wanted in tail:
                self.tail = b""
                return count
            self.tail = tail[-len(wanted) :]
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} did not come within {seconds} s; the last was {tail[-200:]!r}")

    def run(self, command, seconds=60):
        """Runs a command and waits for its end by a mark that the command line itself does not contain."""
        mark = os.urandom(4).hex()
        self.type(f"{command}; echo {mark[:4]}''{mark[4:]}\n")
        return self.until(mark, seconds)


class Crowd:
    """Keeps many terminals alive: reads, acknowledges and answers pings on a thread of its own."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.stopped = False
        self.bytes = 0
        self.lost = 0
        self.members = []
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def add(self, terminal):
        self.members.append(terminal)
        terminal.socket.settimeout(5)
        self.selector.register(terminal.socket, selectors.EVENT_READ, terminal)

    def loop(self):
        while not self.stopped:
            try:
                ready = self.selector.select(0.2)
            except (OSError, RuntimeError):
                continue
            for key, _ in ready:
                self.turn(key.data)

    def turn(self, terminal):
        try:
            terminal.fill()
            while (found := terminal.frame()) is not None:
                opcode, payload = found
                if opcode == 9:
                    terminal.send(bytes(payload), 10)
                elif opcode == 2 and len(payload) and payload[0] == 0:
                    (offset,) = struct.unpack_from(">Q", payload, 1)
                    terminal.offset = offset + len(payload) - 9
                    self.bytes += len(payload) - 9
                    if terminal.offset - terminal.acknowledged >= Terminal.ACK_BYTES:
                        terminal.send(struct.pack(">BQ", 2, terminal.offset))
                        terminal.acknowledged = terminal.offset
        except (OSError, ConnectionError, ValueError):
            self.lost += 1
            try:
                self.selector.unregister(terminal.socket)
            except (KeyError, ValueError):
                pass

    def close(self):
        self.stopped = True
        self.thread.join()
        for terminal in self.members:
            terminal.close()


class Events(WebSocket):
    """`lectern.events.v1`: what the page hears of its lab."""

    def __init__(self, server, person, lab):
        super().__init__(server.port, f"/api/v1/events?lab={lab}", person.cookies, "lectern.events.v1")

    def until_ready(self):
        while True:
            opcode, payload = self.receive()
            if opcode != 1:
                continue
            event = json.loads(bytes(payload))
            state = event.get("lab", {}).get("state")
            if event.get("type") == "lab" and state == "ready":
                return event["lab"]
            if state in ("failed", "ended"):
                raise RuntimeError(f"the lab {state}: {event}")


class Connection:
    """A kept-alive HTTP/1.1 connection over a given socket."""

    def __init__(self, connected, host, cookies=""):
        self.socket = connected
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = f"Host: {host}\r\n" + (f"Cookie: {cookies}\r\n" if cookies else "")
        self.rest = b""

    def get(self, path, extra=""):
        """Returns (status, seconds to the first byte, seconds in all, bytes of the body, head)."""
        begun = time.perf_counter()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{self.head}{extra}\r\n".encode())
        data = self.socket.recv(65536)
        first = time.perf_counter() - begun
        while b"\r\n\r\n" not in data:
            data += self.piece()
        head, body = data.split(b"\r\n\r\n", 1)
        fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
        if b"content-length" in fields:
            left = int(fields[b"content-length"]) - len(body)
            count = len(body)
            scratch = bytearray(1 << 18)
            while left > 0:
                got = self.socket.recv_into(scratch, min(left, len(scratch)))
                if got == 0:
                    raise ConnectionError("cut off")
                left -= got
                count += got
        else:
            chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
            while not (chunked and body.endswith(b"0\r\n\r\n")):
                body += self.piece()
            count = len(body)
        return int(head.split(b" ", 2)[1]), first, time.perf_counter() - begun, count, fields

    def piece(self):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("cut off")
        return data
