"""What strangers, forgers and careless programs may not do."""

import base64
import os
import socket
import struct

import pytest

from lectern import Person


def upgrade(server, path, cookies="", origin=None, protocol="lectern.terminal.v1"):
    """Asks for a WebSocket by hand; returns the socket and the head of the answer."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    head = [
        f"GET {path} HTTP/1.1", f"Host: localhost:{server.port}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {protocol}",
    ]
    if cookies:
        head.append(f"Cookie: {cookies}")
    if origin:
        head.append(f"Origin: {origin}")
    connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(4096)
        if not piece:
            break
        answer += piece
    return connection, answer


def frame(payload, opcode=2):
    mask = os.urandom(4)
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", length)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", length)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def terminal(lab, node="node1", name="1"):
    return f"/api/v1/labs/{lab['id']}/nodes/{node}/terminals/{name}?columns=80&rows=24"


def test_a_lab_of_somebody_else_is_not_there(server, lab):
    stranger = Person(server)
    base = f"/api/v1/labs/{lab['id']}"
    for method, path in [
        ("GET", base), ("DELETE", base), ("POST", base + "/extend"), ("POST", base + "/nodes/node1/reset"),
        ("POST", base + "/nodes/node1/exec"), ("GET", base + "/nodes/node1/ports"), ("POST", base + "/ports"),
    ]:
        answer = stranger.request(method, path, body={} if method == "POST" else None)
        assert answer.status == 404 and answer.json["reason"] == "LabNotFound", (method, path, answer.text)
    assert lab["id"] not in stranger.get("/api/v1/labs").text
    assert stranger.get("/api/v1/labs?all=1").status == 403
    connection, answer = upgrade(server, terminal(lab), stranger.cookies)
    assert b" 101 " not in answer.split(b"\r\n")[0]
    connection.close()


def test_writes_need_the_csrf_value_and_our_own_origin(server, lab):
    owner = lab["person"]
    path = f"/api/v1/labs/{lab['id']}/extend"
    assert owner.post(path, {"minutes": 1}, headers={"X-Lectern-CSRF": None}).status == 403
    assert owner.post(path, {"minutes": 1}, headers={"X-Lectern-CSRF": "0" * 64}).status == 403
    refused = owner.post(path, {"minutes": 1}, headers={"Origin": "http://evil.example"})
    assert refused.status == 403 and refused.json["reason"] == "ForeignOrigin"


def test_sockets_are_refused_to_foreign_pages_and_forged_cookies(server, lab):
    owner = lab["person"]
    for cookies, origin, path in [
        (owner.cookies, "http://evil.example", terminal(lab)),
        (owner.cookies, f"http://{lab['id']}-node1-8000.localhost:{server.port}", terminal(lab)),
        ("lectern_session=v1.uxxxxxxxxxxxxxxx.1.0." + "0" * 64, None, terminal(lab)),
        ("", None, terminal(lab)),
        (owner.cookies, None, terminal(lab, node="node9")),
        (owner.cookies, None, terminal(lab, name="no%20such%20name")),
        (owner.cookies, None, terminal(lab, name="..%2f..%2fetc")),
    ]:
        connection, answer = upgrade(server, path, cookies, origin)
        assert b" 101 " not in answer.split(b"\r\n")[0], (origin, path)
        connection.close()
    connection, answer = upgrade(server, terminal(lab), owner.cookies, f"http://localhost:{server.port}")
    assert b" 101 " in answer.split(b"\r\n")[0]
    connection.close()


@pytest.mark.parametrize("payload", [b"", b"\x07abc", b"\x01\x00", b"\x01\x00\x00\x00\x00", b"\x02\x00", b"\x02" + b"\xff" * 8, b"\x00" + b"a" * 200_000])
def test_malformed_frames_end_that_socket_only(server, lab, payload):
    owner = lab["person"]
    connection, answer = upgrade(server, terminal(lab), owner.cookies)
    assert b" 101 " in answer.split(b"\r\n")[0]
    connection.sendall(frame(payload))
    connection.settimeout(2)
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass
    connection.close()
    assert owner.exec(lab["id"], "node1", "true")["exitCode"] == 0


def test_raw_garbage_never_stops_the_server(server):
    for garbage in [b"\x00" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01" + b"\xff" * 600, b"A" * 100_000]:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            try:
                connection.sendall(garbage)
                connection.settimeout(1)
                connection.recv(1000)
            except OSError:
                pass
    assert server.answers()


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../lectern.yaml", "/assets/%2e%2e/%2e%2e/etc/passwd", "/w/linux-terminal/files/../../../etc/passwd",
        "/w/linux-terminal/files/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/assets/xterm/..%2f..%2fetc%2fpasswd", "/w/..%00/x", "/login/",
    ],
)
def test_paths_cannot_climb(server, path):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert b"root:" not in answer
    assert answer.split(b" ")[1] in (b"400", b"404", b"403", b"410", b"301"), answer[:200]


def test_bad_bodies_are_told_what_is_wrong(person):
    for raw, status in [(b"{", 400), (b"[]", 400), (b'{"workshop":1}', 400), (b"{}", 400), (b'{"workshop":"no-such"}', 404), (b"x" * 300_000, 413)]:
        answer = person.request("POST", "/api/v1/labs", raw=raw, headers={"Content-Type": "application/json"})
        assert answer.status == status, (raw[:20], answer.text)
        assert answer.json["detail"]


def test_every_page_keeps_scripts_and_frames_out(person):
    for path in ("/", "/w/linux-terminal", "/admin"):
        headers = person.get(path, headers={"Accept": "text/html"}).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy and "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
        assert headers["x-content-type-options"] == "nosniff"
    cookies = [c for c in Person(person.server).get("/").headers.get_all("set-cookie") or []]
    session = Person(person.server)
    answer = session.get("/api/v1/session")
    cookies = answer.headers.get_all("set-cookie")
    assert any("lectern_session=" in c and "HttpOnly" in c and "SameSite=Lax" in c for c in cookies)


def test_ten_thousand_requests_for_labs_from_one_visitor_take_no_more_than_the_cap(own_server):
    server = own_server("caps:\n  labsPerPerson: 1\n").start()
    person = Person(server)
    statuses = {}
    for _ in range(10_000):
        status = person.post("/api/v1/labs", {"workshop": "linux-terminal"}).status
        statuses[status] = statuses.get(status, 0) + 1
    assert statuses.pop(201) == 1
    assert set(statuses) <= {409, 429}
    assert len(person.get("/api/v1/labs").json["labs"]) == 1
