"""The figures. Each takes a `Run` and yields rows: (what, aim, measured, within the aim or None)."""

import gzip
import json
import math
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import machine
from wire import Connection, Crowd, Events, Terminal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "System"))
from lectern import Person, Server, traces, wait_until  # noqa: E402

WORKSHOP = "kubernetes-for-beginners"
CONFIG = """caps:
  labsTotal: 400
  labsPerPerson: 100
  labsPerAddress: 10000
  idleMinutes: 0
"""


def median(values):
    return statistics.median(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def ms(seconds):
    return f"{seconds * 1000:.2f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def mb(count):
    return f"{count / 1e6:.1f} MB"


class Run:
    """One server for the whole run, and an admin, whom the caps on people do not hold back."""

    def __init__(self, scale):
        self.scale = scale
        self.server = Server(CONFIG).start()
        self.admin = self.server.admin()

    @property
    def pid(self):
        return self.server.process.pid

    def count(self, full):
        return max(2, round(full * self.scale))

    def create(self, person=None):
        answer = (person or self.admin).post("/api/v1/labs", {"workshop": WORKSHOP})
        if answer.status != 201:
            raise RuntimeError(f"no lab: {answer.status} {answer.text}")
        return answer.json["id"]

    def end(self, lab, person=None):
        (person or self.admin).request("DELETE", f"/api/v1/labs/{lab}")

    def end_all(self):
        """Whatever a figure left, so that the next one starts from nothing."""
        for lab in self.admin.get("/api/v1/labs?all=1").json["labs"]:
            self.end(lab["id"])
        self.wait_no_labs()

    def wait_no_labs(self, seconds=120):
        wait_until(lambda: not self.admin.get("/api/v1/labs?all=1").json["labs"], seconds, "all labs ending")


def idle_server(run):
    for _ in range(20):
        run.admin.get(f"/w/{WORKSHOP}")
    time.sleep(2)
    value = machine.pss(run.pid)
    yield "server memory, no lab (PSS)", "≤ 60 MB", mb(value), value <= 60e6


def pages(run):
    connection = Connection(socket.create_connection(("127.0.0.1", run.server.port)), f"localhost:{run.server.port}", run.admin.cookies)
    samples = [connection.get(f"/w/{WORKSHOP}")[1] for _ in range(run.count(200))][1:]
    value = median(samples)
    yield "lesson page, first byte, warm", "≤ 10 ms", f"{ms(value)}, p99 {ms(percentile(samples, 0.99))}", value <= 0.010

    seen, waiting, total, plain = set(), [f"/w/{WORKSHOP}"], 0, 0
    while waiting:
        path = waiting.pop()
        if path in seen or "/xterm/" in path:
            continue
        seen.add(path)
        answer = run.admin.get(path, headers={"Accept-Encoding": "gzip", "Accept": "*/*"})
        body = answer.body
        total += len(body)
        if answer.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        plain += len(body)
        text = body.decode("utf-8", "replace")
        kind = answer.headers.get("Content-Type", "")
        if "html" in kind:
            found = re.findall(r'<(?:script|link|img)[^>]*?(?:src|href)="([^"]+)"', text)
        elif "javascript" in kind:
            found = re.findall(r'(?:from|import)\s*\(?\s*"([^"]+)"', text) + re.findall(r"(?:from|import)\s*\(?\s*'([^']+)'", text)
        elif "css" in kind:
            found = re.findall(r'(?:@import\s+|url\()["\']?([^"\')]+)', text)
        else:
            found = []
        waiting += [urllib.parse.urljoin(path, name) for name in found if not name.startswith(("data:", "#", "http"))]
    yield "page weight without xterm.js", "≤ 120 kB", f"{total / 1000:.0f} kB in {len(seen)} files ({plain / 1000:.0f} kB unpacked)", total <= 120e3


def starts(run):
    samples, ends = [], []
    for _ in range(run.count(50)):
        begun = time.perf_counter()
        lab = run.create()
        events = Events(run.server, run.admin, lab)
        state = run.admin.get(f"/api/v1/labs/{lab}").json
        if state["state"] != "ready":
            state = events.until_ready()
        terminals = [Terminal(run.server, run.admin, lab, node["name"]) for node in state["nodes"]]
        for terminal in terminals:
            terminal.until("# ")
        samples.append(time.perf_counter() - begun)
        for terminal in terminals:
            terminal.close()
        events.close()

        begun = time.perf_counter()
        run.end(lab)
        wait_until(
            lambda: run.admin.get(f"/api/v1/labs/{lab}").json["state"] == "ended" and not any(lab in t for t in traces(run.server)),
            30, "the lab being gone")
        ends.append(time.perf_counter() - begun)
    value, tail = median(samples), percentile(samples, 0.99)
    yield (
        f"start clicked to both prompts of a two-node lab, {len(samples)} runs", "median ≤ 300 ms, p99 ≤ 1 s",
        f"{ms(value)}, p99 {ms(tail)}", value <= 0.3 and tail <= 1)
    value = median(ends)
    yield "delete of a lab, everything gone", "≤ 1 s", f"{ms(value)}, p99 {ms(percentile(ends, 0.99))}", value <= 1


def fifty_at_once(run):
    count = run.count(50)
    labs, failures = [], []
    lock = threading.Lock()

    cookies, token = run.admin.cookies, run.admin.cookie("lectern_csrf")

    def ask():
        try:
            request = urllib.request.Request(
                run.server.url + "/api/v1/labs", data=json.dumps({"workshop": WORKSHOP}).encode(), method="POST",
                headers={"Content-Type": "application/json", "Cookie": cookies, "X-Lectern-CSRF": token})
            with urllib.request.urlopen(request, timeout=60) as response:
                lab = json.load(response)["id"]
            with lock:
                labs.append(lab)
        except Exception as error:  # a thread's fault must not be lost
            failures.append(repr(error))

    begun = time.perf_counter()
    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])

    def all_ready():
        states = {lab["id"]: lab["state"] for lab in run.admin.get("/api/v1/labs?all=1").json["labs"]}
        return all(states.get(lab) == "ready" for lab in labs)

    wait_until(all_ready, 120, "all labs being ready")
    seconds = time.perf_counter() - begun
    yield f"{count} labs started at once, all ready", "≤ 15 s", f"{seconds:.1f} s", seconds <= 15
    begun = time.perf_counter()
    for lab in labs:
        run.end(lab)
    run.wait_no_labs()
    yield f"{count} labs ended at once, all gone", "", f"{time.perf_counter() - begun:.1f} s", None


def hundred_idle(run):
    count = run.count(100)
    run.wait_no_labs()
    time.sleep(2)
    server_before, kernel_before = machine.pss(run.pid), machine.kernel_memory()
    labs = []
    for _ in range(count):
        labs.append(run.create())
        run.admin.wait_ready(labs[-1], 60)
    time.sleep(5)
    inside = machine.total_pss(machine.descendants_in_labs(run.server))
    kernel = max(0, machine.kernel_memory() - kernel_before)
    each = (inside + kernel) / count
    yield (
        f"{count} idle two-node labs, memory each (PSS and kernel)", "≤ 15 MB",
        f"{mb(each)} ({mb(inside / count)} and {mb(kernel / count)})", each <= 15e6)
    growth = (machine.pss(run.pid) - server_before) / count
    yield "server memory per idle lab", "", f"{growth / 1e3:.0f} kB", None

    crowd = Crowd()
    per_node = max(1, round(10 * run.scale))
    for lab in labs:
        for node in ("node1", "node2"):
            for name in range(1, per_node + 1):
                crowd.add(Terminal(run.server, run.admin, lab, node, str(name)))
    time.sleep(5)
    value = machine.pss(run.pid)
    opened = len(crowd.members)
    yield f"{opened} idle terminals open, server memory (PSS)", "≤ 150 MB", mb(value) + (f", {crowd.lost} lost" if crowd.lost else ""), (
        value <= 150e6 and crowd.lost == 0)
    crowd.close()
    for lab in labs:
        run.end(lab)
    run.wait_no_labs()


LINES = "seq -f 'line %012g of what a program prints, about as long as lines are' 1 1000000 | head -c 67108864"


def terminal_speed(run):
    lab = run.create()
    run.admin.wait_ready(lab)
    terminal = Terminal(run.server, run.admin, lab)
    terminal.until("# ")
    terminal.run(f"{LINES} > /tmp/lines")
    file = pathlib.Path("/tmp/lectern-bench-lines")
    subprocess.run(["sh", "-c", f"{LINES} > {file}"], check=True)
    ratios, speeds, plains = [], [], []
    try:
        for _ in range(run.count(7)):
            plain = machine.plain_read_loop(f"cat {file}")
            begun = time.perf_counter()
            count = terminal.run("cat /tmp/lines", 120)
            speed = count / (time.perf_counter() - begun)
            ratios.append(speed / plain)
            speeds.append(speed)
            plains.append(plain)
    finally:
        file.unlink()
    value = median(ratios)
    yield (
        "terminal output, against a plain read of a PTY", "≥ 0.8",
        f"{value:.2f} ({median(speeds) / 1e6:.0f} MB/s of {median(plains) / 1e6:.0f})", value >= 0.8)

    quiet = echo(terminal, run.count(2000))
    yield "echo of a key, nothing beside it", "", f"p50 {ms(median(quiet))}, p99 {ms(percentile(quiet, 0.99))}", None

    labs, crowd = [], Crowd()
    busy = run.count(100)
    try:
        while len(crowd.members) < busy:
            labs.append(run.create())
            run.admin.wait_ready(labs[-1])
            for node in ("node1", "node2"):
                for name in range(1, 6):
                    if len(crowd.members) < busy:
                        other = Terminal(run.server, run.admin, labs[-1], node, str(name))
                        other.until("# ")
                        other.type("exec 9<> <(:); while :; do echo \"tick $RANDOM $SECONDS and some more words\"; read -t 0.1 -u 9; done\n")
                        crowd.add(other)
        time.sleep(2)
        loud = echo(terminal, run.count(2000))
    finally:
        crowd.close()
        for other in labs:
            run.end(other)
    value, tail = median(loud), percentile(loud, 0.99)
    yield (
        f"echo of a key, {busy} busy terminals beside it (10 lines/s each)", "p50 ≤ 0.7 ms, p99 ≤ 5 ms",
        f"p50 {ms(value)}, p99 {ms(tail)}", value <= 0.0007 and tail <= 0.005)
    terminal.close()
    run.end(lab)
    run.wait_no_labs()


def idle_terminals(run):
    """Pages that only look: ten shells on a node, a dozen pages at each, from addresses of their own."""
    wanted = run.count(2000)
    before = machine.pss(run.pid)
    terminals = []
    while len(terminals) < wanted:
        lab = run.create()
        run.admin.wait_ready(lab)
        for node in ("node1", "node2"):
            for index in range(min(120, wanted - len(terminals))):
                source = f"127.0.{len(terminals) // 200 + 1}.1"
                terminals.append(Terminal(run.server, run.admin, lab, node, str(index % 10 + 1), source=source))
    time.sleep(3)
    after = machine.pss(run.pid)
    for terminal in terminals:
        terminal.close()
    yield (
        f"server memory with {len(terminals)} idle terminals open (PSS)", "≤ 150 MB",
        f"{mb(after)} ({mb(before)} before, {(after - before) / len(terminals) / 1e3:.1f} kB each)", after <= 150e6)


def echo(terminal, count):
    terminal.type("cat > /dev/null\n")
    time.sleep(0.3)
    samples = []
    for index in range(count + 50):
        letter = b"abcdefghijklmnopqrstuvwxyz"[index % 26 : index % 26 + 1]
        begun = time.perf_counter()
        terminal.type(letter)
        while letter not in bytes(terminal.output()):
            pass
        samples.append(time.perf_counter() - begun)
        if index % 60 == 59:
            terminal.type(b"\x15")  # a terminal's line is bounded: start a new one
            time.sleep(0.02)
    terminal.type(b"\n\x04")  # the end of the input, at the start of a line
    time.sleep(0.5)
    terminal.run("true")
    return samples[50:]


def ports(run):
    lab = run.create()
    run.admin.wait_ready(lab)
    source = pathlib.Path(__file__).with_name("node_server.py").read_text()
    run.admin.exec(lab, "node1", "sh", "-c", f"cat > /root/server.py <<'END'\n{source}END\nsetsid python3 /root/server.py >/dev/null 2>&1 </dev/null &")
    network = run.admin.exec(lab, "node2", "readlink", "/proc/self/ns/net")["stdout"].strip()
    inside = machine.network_of(network)
    wait_until(lambda: run.admin.exec(lab, "node1", "sh", "-c", "ss -ltn | grep -c :8000")["exitCode"] == 0, 20, "the node's server")

    url = run.admin.post(f"/api/v1/labs/{lab}/ports", {"node": "node1", "port": 8000}).json["url"]
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc
    first = Connection(socket.create_connection(("127.0.0.1", run.server.port)), host)
    status, _, _, _, fields = first.get(parts.path + ("?" + parts.query if parts.query else ""))
    cookie = fields.get(b"set-cookie", b"").split(b";")[0].decode()
    if status not in (200, 302, 303, 307):
        raise RuntimeError(f"the link answers {status}")

    def linked():
        return Connection(socket.create_connection(("127.0.0.1", run.server.port)), host, cookie)

    def direct():
        return Connection(machine.connect_inside(inside, "172.30.0.11", 8000), "node1:8000")

    through, straight = linked(), direct()
    ratios, speeds, plains = [], [], []
    for _ in range(run.count(7)):
        _, _, plain, size, _ = straight.get("/big")
        status, _, seconds, size_linked, _ = through.get("/big")
        if status != 200 or size != size_linked:
            raise RuntimeError(f"the link gives {status} and {size_linked} of {size} bytes")
        ratios.append(plain / seconds)
        speeds.append(size / seconds)
        plains.append(size / plain)
    value = median(ratios)
    yield (
        "port link, 256 MiB, against a connection from the lab's other node", "≥ 0.5",
        f"{value:.2f} ({median(speeds) / 1e6:.0f} MB/s of {median(plains) / 1e6:.0f})", value >= 0.5)

    near, far = [], []
    for _ in range(run.count(2000)):
        near.append(straight.get("/small")[2])
        far.append(through.get("/small")[2])
    added = median(far) - median(near)
    yield "port link, added latency", "≤ 0.3 ms", f"{ms(added)} ({ms(median(far))} and {ms(median(near))})", added <= 0.0003

    if shutil.which("wrk"):
        output = subprocess.run(
            ["wrk", "-t1", "-c32", f"-d{max(2, round(8 * run.scale))}s", "-H", f"Host: {host}", "-H", f"Cookie: {cookie}",
             f"http://127.0.0.1:{run.server.port}/small"], capture_output=True, text=True).stdout
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))
        faults = re.search(r"Non-2xx[^\n]*|Socket errors[^\n]*", output)
        yield "port link, small requests, 32 connections", "≥ 5,000 /s", f"{rate:,.0f} /s" + (f" ({faults.group(0)})" if faults else ""), (
            rate >= 5000 and not faults)
    run.end(lab)
    run.wait_no_labs()


ALL = [idle_server, pages, starts, fifty_at_once, terminal_speed, idle_terminals, ports, hundred_idle]
