"""A terminal of a lab as a learner uses it: types a line, waits for the prompt, reads what was printed."""

import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Bench"))

from wire import Terminal  # noqa: E402

ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-B]|[=>78])|\r|\x07")


class Shell(Terminal):
    """Types into the shell and reads its answers by the events of shell integration."""

    def __init__(self, server, person, lab, node="node1", name="1", columns=200, rows=50):
        super().__init__(server, person, lab, node, name, columns, rows)
        self.wait_prompt(20)

    def next(self, seconds):
        """The next frame as ("output", bytes) or ("event", dict)."""
        self.socket.settimeout(seconds)
        _, payload = self.receive()
        payload = bytes(payload)
        if payload[:1] == b"\x01":
            return "event", json.loads(payload[1:])
        offset = int.from_bytes(payload[1:9], "big")
        self.offset = offset + (len(payload) - 9 if payload[0] == 0 else 0)
        if self.offset - self.acknowledged >= self.ACK_BYTES:
            self.send(b"\x02" + self.offset.to_bytes(8, "big"))
            self.acknowledged = self.offset
        return "output", payload[9:]

    def wait_prompt(self, seconds):
        end = time.monotonic() + seconds
        while True:
            kind, value = self.next(max(0.1, end - time.monotonic()))
            if kind == "event" and (value["type"] == "prompt" or (value["type"] == "attached" and value.get("prompt"))):
                return

    def run(self, command, seconds=60):
        """Types a command line; returns (status, what it printed)."""
        self.type(command + "\n")
        printed = b""
        status = None
        started = False
        end = time.monotonic() + seconds
        while True:
            try:
                kind, value = self.next(max(0.1, end - time.monotonic()))
            except TimeoutError as error:
                raise AssertionError(f"{command!r} did not end in {seconds} s; so far: {self.plain(printed)[-2000:]}") from error
            if kind == "output":
                # What comes after the command's end is the prompt.
                printed += value if status is None else b""
            elif value["type"] == "command-start":
                started, printed = True, b""
            elif value["type"] == "command-end":
                status = value.get("status")
            elif value["type"] == "prompt" and started:
                return status, self.plain(printed)

    def begin(self, command):
        """Types a command that goes on, and returns when the shell has begun it."""
        self.type(command + "\n")
        end = time.monotonic() + 20
        while True:
            kind, value = self.next(max(0.1, end - time.monotonic()))
            if kind == "event" and value["type"] == "command-start":
                return

    def read(self, until, seconds=30):
        """Reads what a running command prints until a text or pattern was there."""
        printed = b""
        end = time.monotonic() + seconds
        while True:
            try:
                kind, value = self.next(max(0.1, end - time.monotonic()))
            except TimeoutError as error:
                raise AssertionError(f"{until!r} was not printed in {seconds} s; so far: {self.plain(printed)[-2000:]}") from error
            if kind == "output":
                printed += value
                if re.search(until, self.plain(printed)):
                    return self.plain(printed)

    def interrupt(self):
        """Ctrl-C, again where it came while the program was still being started."""
        for attempt in range(10):
            self.type(b"\x03")
            try:
                return self.wait_prompt(3)
            except TimeoutError:
                if attempt == 9:
                    raise

    def ok(self, command, seconds=60):
        """The output of a command that must succeed."""
        status, text = self.run(command, seconds)
        assert status == 0, f"{command!r} ended with {status}:\n{text}"
        return text

    def until(self, command, pattern, seconds=30):
        """Types a command again and again until its output matches."""
        end = time.monotonic() + seconds
        while True:
            _, text = self.run(command)
            if re.search(pattern, text, re.S):
                return text
            assert time.monotonic() < end, f"{command!r} did not show {pattern!r} within {seconds} s; the last was:\n{text}"
            time.sleep(0.1)

    @staticmethod
    def plain(data):
        return ESCAPES.sub(b"", data).decode("utf-8", "replace")
