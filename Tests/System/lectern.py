"""A real Lectern server for tests: started on a free port of loopback with a state directory of its own."""

import http.cookiejar
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("LECTERN_PROGRAM", ROOT / ".build/release/lectern"))
IMAGES = os.environ.get("LECTERN_IMAGES", "/var/lib/lectern/images")
ASSETS = os.environ.get("LECTERN_ASSETS", "/var/lib/lectern/assets")


_resolve = socket.getaddrinfo


def _resolve_as_browsers_do(host, *args, **kw):
    """Browsers lead every name under localhost to this machine; the C library does not."""
    return _resolve("127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host, *args, **kw)


socket.getaddrinfo = _resolve_as_browsers_do


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds=20, what="the condition"):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.05)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")


class Person:
    """Somebody with a cookie jar of their own."""

    def __init__(self, server):
        self.server = server
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar), NoRedirect())
        self.get("/api/v1/session")

    def cookie(self, name):
        return next((c.value for c in self.jar if c.name == name), None)

    @property
    def cookies(self):
        return "; ".join(f"{c.name}={c.value}" for c in self.jar if not c.name.startswith("lectern_port"))

    def request(self, method, path, body=None, headers=None, raw=None):
        url = path if path.startswith("http") else self.server.url + path
        fields = {"Accept": "application/json"}
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        if method not in ("GET", "HEAD") and self.cookie("lectern_csrf"):
            fields["X-Lectern-CSRF"] = self.cookie("lectern_csrf")
        fields.update(headers or {})
        request = urllib.request.Request(url, data=data, method=method, headers={k: v for k, v in fields.items() if v is not None})
        try:
            with self.opener.open(request, timeout=120) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body=body, **kw)

    def start_lab(self, workshop, seconds=30):
        answer = self.post("/api/v1/labs", {"workshop": workshop})
        assert answer.status == 201, answer.text
        return self.wait_ready(answer.json["id"], seconds)

    def wait_ready(self, lab, seconds=30):
        def ready():
            current = self.get(f"/api/v1/labs/{lab}").json
            assert current["state"] not in ("failed", "ended"), current
            return current if current["state"] == "ready" else None

        return wait_until(ready, seconds, f"lab {lab} being ready")

    def exec(self, lab, node, *command, timeout=30):
        answer = self.post(f"/api/v1/labs/{lab}/nodes/{node}/exec", {"command": list(command), "timeoutSeconds": timeout})
        assert answer.status == 200, answer.text
        return answer.json

    def end_lab(self, lab, seconds=20):
        answer = self.request("DELETE", f"/api/v1/labs/{lab}")
        assert answer.status == 202, answer.text
        wait_until(lambda: self.get(f"/api/v1/labs/{lab}").json["state"] == "ended", seconds, f"lab {lab} ending")


class Server:
    """`lectern serve` with its own state; `kill()` is kill -9, `start()` may be called again after it."""

    def __init__(self, config="", workshops=ROOT / "Workshops"):
        self.state = pathlib.Path(tempfile.mkdtemp(prefix="lectern-test-"))
        self.state.chmod(0o711)
        self.port = free_port()
        self.kubernetes_port = free_port()
        self.config = self.state / "lectern.yaml"
        self.extra = config
        self.workshops = workshops
        self.process = None
        self.instance = None
        self.log = None
        self.url = f"http://localhost:{self.port}"

    def write_config(self):
        self.config.write_text(
            f"listen: 127.0.0.1:{self.port}\nstate: {self.state}\nimages: {IMAGES}\nassets: {ASSETS}\n"
            f"workshops: {self.workshops}\nkubernetes:\n  listen: 127.0.0.1:{self.kubernetes_port}\n{self.extra}"
        )

    def start(self, seconds=20):
        self.write_config()
        self.log = open(self.state / "server.log", "ab")
        self.process = subprocess.Popen(
            [str(PROGRAM), "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=ROOT
        )
        wait_until(self.answers, seconds, f"the server answering (log: {self.state}/server.log)")
        self.instance = (self.state / "instance").read_text().strip()
        return self

    def answers(self):
        assert self.process.poll() is None, self.log_text()
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=2) as response:
                return response.status == 200
        except OSError:
            return False

    def log_text(self):
        return (self.state / "server.log").read_text(errors="replace")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.log:
            self.log.close()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the server did not stop on SIGTERM within 20 s")

    def command(self, *arguments):
        return subprocess.run(
            [str(PROGRAM), *arguments, "--config", str(self.config)], capture_output=True, text=True, timeout=60, cwd=ROOT
        )

    def admin(self):
        link = self.command("admin", "login-link").stdout.strip().splitlines()[-1]
        person = Person(self)
        answer = person.get(urllib.parse.urlparse(link).path)
        assert answer.status == 303, answer.text
        person.link = link
        return person

    def destroy(self):
        """Ends every lab, stops the server and erases its state."""
        self.destroy_labs()
        self.stop()
        shutil.rmtree(self.state, ignore_errors=True)

    def destroy_labs(self):
        if not self.process or self.process.poll() is not None:
            return
        admin = self.admin()
        for lab in admin.get("/api/v1/labs?all=1").json["labs"]:
            if lab["state"] != "ending":
                admin.request("DELETE", f"/api/v1/labs/{lab['id']}")
        wait_until(lambda: not admin.get("/api/v1/labs?all=1").json["labs"], 60, "all labs ending")


def traces(server):
    """What a server has left on the machine: mounts, loop devices, control groups, network namespaces, processes."""
    state = str(server.state)
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if state in line:
            found.append("mount " + line.split()[4])
    for loop in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if state in loop.read_text():
                found.append("loop " + loop.parts[3])
        except OSError:
            pass
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if state.encode() in command and int(process.name) != os.getpid():
            found.append(f"process {process.name} {command[:120]!r}")
    if server.instance:
        # os.walk passes over what goes while it looks.
        for folder, names, _ in os.walk("/sys/fs/cgroup"):
            if folder.endswith(f"/lectern-{server.instance}"):
                found += [f"cgroup {folder}/{name}" for name in names if name.startswith("lab-")]
    return found
