"""A client of node-agent over its unix socket, for benches and trials (docs/protocols.md)."""
import json
import socket
import struct


class Agent:
    def __init__(self, path):
        self.path = path

    def open(self, header):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(self.path)
        stream.sendall(json.dumps(header).encode() + b"\n")
        return stream

    def line(self, stream):
        data = b""
        while not data.endswith(b"\n"):
            byte = stream.recv(1)
            if not byte:
                break
            data += byte
        return json.loads(data)

    def status(self):
        with self.open({"open": "status"}) as stream:
            return self.line(stream)

    def execute(self, *command, timeout=30):
        with self.open({"open": "exec", "command": list(command), "timeoutSeconds": timeout}) as stream:
            answer = self.line(stream)
            if not answer["ok"]:
                return answer
            output, errors = b"", b""
            while True:
                kind, body = frame(stream)
                if kind == 0:
                    output += body
                elif kind == 1:
                    errors += body
                else:
                    return dict(json.loads(body), stdout=output.decode(), stderr=errors.decode())


def exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def frame(stream):
    (length,) = struct.unpack(">I", exactly(stream, 4))
    body = exactly(stream, length)
    return body[0], body[1:]


def framed(body):
    return struct.pack(">I", len(body)) + body


class Terminal:
    def __init__(self, agent, name="1", **more):
        self.stream = agent.open(dict({"open": "terminal", "name": name, "create": True, "columns": 80, "rows": 24, "viewer": "v"}, **more))
        self.answer = agent.line(self.stream)
        self.offset = 0
        self.acked = 0

    def type(self, data):
        self.stream.sendall(framed(b"\0" + data))

    def resize(self, columns, rows):
        self.stream.sendall(framed(b"\1" + struct.pack(">HH", columns, rows)))

    def ack(self, offset=None):
        self.stream.sendall(framed(b"\2" + struct.pack(">Q", self.offset if offset is None else offset)))

    def next(self):
        """("output", bytes), ("event", dict) or ("snapshot", bytes)."""
        kind, body = frame(self.stream)
        if kind == 1:
            return "event", json.loads(body)
        (offset,) = struct.unpack(">Q", body[:8])
        self.offset = offset + (len(body) - 8 if kind == 0 else 0)
        if self.offset - self.acked > 128 << 10:
            self.ack()
            self.acked = self.offset
        return ("output" if kind == 0 else "snapshot"), body[8:]

    def until(self, wanted, log=None):
        text = b""
        while wanted not in text:
            kind, body = self.next()
            if log is not None:
                log.append((kind, body))
            if kind == "output":
                text += body
        return text
