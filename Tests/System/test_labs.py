"""Labs over the HTTP API, on real nodes."""

import json
import urllib.request

from lectern import Person, wait_until


def test_a_lab_has_the_shape_that_is_documented(lab):
    assert lab["state"] == "ready"
    assert [node["name"] for node in lab["nodes"]] == ["node1", "node2"]
    assert all(node["terminals"] == ["1"] and node["address"].startswith("172.30.0.") for node in lab["nodes"])
    assert lab["expiresAt"] > lab["createdAt"]


def test_nodes_are_linux_machines_that_know_each_other(lab):
    person = lab["person"]
    assert person.exec(lab["id"], "node1", "hostname")["stdout"] == "node1\n"
    assert person.exec(lab["id"], "node2", "id", "-u")["stdout"] == "0\n"
    assert person.exec(lab["id"], "node1", "hostname", "-i")["stdout"] == "172.30.0.11\n"
    assert person.exec(lab["id"], "node1", "ping", "-c1", "-W2", "node2")["exitCode"] == 0
    assert "Client Version: v1.3" in person.exec(lab["id"], "node1", "kubectl", "version", "--client")["stdout"]


def test_exec_reports_status_streams_and_time_outs(lab):
    person = lab["person"]
    result = person.exec(lab["id"], "node1", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result["exitCode"], result["stdout"], result["stderr"]) == (3, "out\n", "err\n")
    assert person.exec(lab["id"], "node1", "sleep", "60", timeout=1)["timedOut"] is True
    missing = person.post(f"/api/v1/labs/{lab['id']}/nodes/node1/exec", {"command": ["no-such-program"]})
    assert missing.status == 200 and missing.json["exitCode"] == 127 or missing.status in (400, 422)


def test_a_port_opens_with_its_own_right_and_waits_until_something_listens(lab):
    person = lab["person"]
    link = person.post(f"/api/v1/labs/{lab['id']}/ports", {"node": "node1", "port": 8123}).json["url"]
    first = person.get(link)
    assert first.status == 302 and "lectern-port" not in first.headers["location"]
    base = link.split("/?")[0]
    waiting = person.get(base + "/")
    assert waiting.status == 503 and "8123" in waiting.text
    person.exec(lab["id"], "node1", "sh", "-c", "mkdir -p /srv/www && echo hello > /srv/www/a.txt && cd /srv/www && (setsid python3 -m http.server 8123 >/dev/null 2>&1 &)")
    wait_until(lambda: person.get(base + "/a.txt").status == 200, 10, "the port answering")
    answer = person.get(base + "/a.txt")
    assert answer.text == "hello\n" and "SimpleHTTP" in answer.headers["server"]
    ports = person.get(f"/api/v1/labs/{lab['id']}/nodes/node1/ports").json["ports"]
    assert any(entry["port"] == 8123 for entry in ports)
    stranger = Person(person.server)
    assert stranger.get(base + "/a.txt").status == 403


def test_reset_gives_a_fresh_node_and_leaves_the_other(lab):
    person = lab["person"]
    for node in ("node1", "node2"):
        person.exec(lab["id"], node, "touch", "/root/mark")
    assert person.post(f"/api/v1/labs/{lab['id']}/nodes/node2/reset").status == 202
    wait_until(
        lambda: person.post(f"/api/v1/labs/{lab['id']}/nodes/node2/exec", {"command": ["ls", "/root"]}).json.get("stdout") is not None
        and "mark" not in person.exec(lab["id"], "node2", "ls", "/root")["stdout"],
        20,
        "node2 being fresh",
    )
    assert "mark" in person.exec(lab["id"], "node1", "ls", "/root")["stdout"]
    person.wait_ready(lab["id"])


def test_extend_adds_minutes_up_to_the_caps(server):
    person = Person(server)
    lab = person.start_lab("linux-terminal")
    longer = person.post(f"/api/v1/labs/{lab['id']}/extend", {"minutes": 10}).json
    assert longer["expiresAt"] > lab["expiresAt"] and longer["extensionsLeft"] == lab["extensionsLeft"] - 1
    refused = person.post(f"/api/v1/labs/{lab['id']}/extend", {"minutes": 10_000})
    assert refused.status == 409 and "extensionMinutes" in refused.json["detail"]
    person.end_lab(lab["id"])
    after = person.get(f"/api/v1/labs/{lab['id']}").json
    assert after["state"] == "ended" and after["reason"] == "EndedByOwner"


def test_the_openapi_document_names_every_operation_that_answers(person):
    document = person.get("/api/openapi.json").json
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method in operations:
            answer = person.request(method.upper(), path.replace("{", "x").replace("}", "x"), body={} if method != "get" else None)
            assert answer.status != 405 and answer.status < 500, (method, path, answer.text)
            if answer.status >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
                assert json.loads(answer.body)["type"].startswith("urn:lectern:problem:")


def test_metrics_and_health_are_served(server):
    for path in ("/healthz", "/readyz", "/metrics"):
        with urllib.request.urlopen(server.url + path) as response:
            assert response.status == 200
            text = response.read().decode()
    assert "lectern_labs{" in text and "lectern_http_requests_total" in text
