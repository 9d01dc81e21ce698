"""The server killed at any moment, wrong configurations, and time that passes while nobody looks."""

import os
import pathlib
import random
import signal
import socket
import sqlite3
import subprocess
import time

from lectern import PROGRAM, Person, Server, traces, wait_until


def test_shells_survive_a_killed_server(own_server):
    server = own_server().start()
    person = Person(server)
    lab = person.start_lab("kubernetes-for-beginners")
    person.exec(lab["id"], "node1", "sh", "-c", "(setsid sleep 1000 &) ; echo kept > /root/kept")
    server.kill()
    server.start()
    again = person.wait_ready(lab["id"])
    assert again["expiresAt"] == lab["expiresAt"]
    assert person.exec(lab["id"], "node1", "cat", "/root/kept")["stdout"] == "kept\n"
    assert person.exec(lab["id"], "node1", "pgrep", "-x", "sleep")["exitCode"] == 0


def test_killed_at_any_moment_of_a_creation_or_an_end_it_finishes_the_work(own_server):
    server = own_server("caps:\n  labsPerPerson: 50\n").start()
    person = Person(server)
    chance = random.Random(7)
    for _ in range(6):
        lab = None
        try:
            pid = server.process.pid
            delay = chance.uniform(0.0, 0.4)
            killer = subprocess.Popen(["sh", "-c", f"sleep {delay}; kill -9 {pid}"])
            lab = person.post("/api/v1/labs", {"workshop": "kubernetes-for-beginners"})
            lab = lab.json.get("id")
        except (OSError, ValueError):
            pass
        killer.wait()
        server.process.wait()
        server.start()
        labs = person.get("/api/v1/labs").json["labs"]
        for entry in labs:
            person.wait_ready(entry["id"])
        for entry in labs:
            killer = subprocess.Popen(["sh", "-c", f"sleep {chance.uniform(0.0, 0.2)}; kill -9 {server.process.pid}"])
            try:
                person.request("DELETE", f"/api/v1/labs/{entry['id']}")
            except OSError:
                pass
            killer.wait()
            server.process.wait()
            server.start()
            state = person.get(f"/api/v1/labs/{entry['id']}").json["state"]
            if state not in ("ending", "ended"):
                person.end_lab(entry["id"])
            wait_until(
                lambda: person.get(f"/api/v1/labs/{entry['id']}").json["state"] == "ended", 20,
                f"{entry['id']} ending: {person.get('/api/v1/labs').text}\n{server.log_text()[-2000:]}",
            )
        left = [trace for trace in traces(server) if str(server.process.pid) not in trace and "serve" not in trace]
        assert not [trace for trace in left if "lab-" in trace], left


def test_a_lab_whose_time_ran_out_while_the_server_was_down_ends_at_its_start(own_server):
    server = own_server("caps:\n  labLifetimeMinutes: 1\n").start()
    person = Person(server)
    lab = person.start_lab("linux-terminal")
    server.kill()
    database = next(server.state.glob("*cluster*.db"), None)
    assert database, list(server.state.iterdir())
    time.sleep(61)
    server.start()
    wait_until(lambda: person.get(f"/api/v1/labs/{lab['id']}").json["state"] == "ended", 20, "the lab ending")
    assert person.get(f"/api/v1/labs/{lab['id']}").json["reason"] == "LifetimeReached"


def run(*arguments, **kw):
    return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, timeout=30, **kw)


def test_a_port_in_use_is_named(own_server):
    server = own_server()
    server.write_config()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", server.port))
        holder.listen()
        result = run("serve", "--config", str(server.config))
    assert result.returncode != 0
    assert str(server.port) in result.stderr and "in use" in result.stderr


def test_a_state_directory_of_a_newer_version_is_left_alone(own_server):
    server = own_server().start()
    server.stop()
    path = server.state / "lectern.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9999")
    result = run("serve", "--config", str(server.config))
    assert result.returncode != 0 and "newer" in result.stderr
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == 9999
        database.execute("PRAGMA user_version = 1")


def test_bad_configurations_name_line_and_nearest_key(tmp_path):
    for text, words in [
        ("lisen: 127.0.0.1:8080\n", ["line 1", "listen"]),
        ("caps:\n  nodesPerLab: 99\n", ["line 2", "nodesPerLab"]),
        ("caps: [\n", ["lectern.yaml, line"]),
        ("listen: nowhere\n", ["line 1"]),
    ]:
        path = tmp_path / "lectern.yaml"
        path.write_text(text)
        result = run("serve", "--config", str(path))
        assert result.returncode != 0, text
        for word in words:
            assert word in result.stderr, (text, result.stderr)


def test_a_cap_on_labs_queues_the_next_with_rule_place_and_estimate(own_server):
    server = own_server("caps:\n  labsTotal: 1\n").start()
    first, second = Person(server), Person(server)
    lab = first.start_lab("linux-terminal")
    waiting = second.post("/api/v1/labs", {"workshop": "linux-terminal"}).json
    assert waiting["state"] == "queued" and waiting["queue"]["position"] == 1
    assert waiting["queue"]["rule"] == "labsTotal" and waiting["queue"]["estimateSeconds"] > 0
    assert "labsTotal" in waiting["message"]
    first.end_lab(lab["id"])
    second.wait_ready(waiting["id"])


def test_caps_changed_by_the_admin_hold_at_once_and_after_a_restart(own_server):
    server = own_server().start()
    admin, person = server.admin(), Person(server)
    assert person.request("PUT", "/api/v1/admin/caps", body={"labsPerPerson": 1}).status == 403
    assert admin.request("PUT", "/api/v1/admin/caps", body={"labsPerPerson": 0}).status == 422
    assert admin.request("PUT", "/api/v1/admin/caps", body={"labsPerPerson": 1}).status == 200
    person.start_lab("linux-terminal")
    refused = person.post("/api/v1/labs", {"workshop": "linux-terminal"})
    assert refused.status == 409 and "labsPerPerson" in refused.json["detail"]
    server.stop()
    server.start()
    assert admin.get("/api/v1/admin/overview").json["caps"]["labsPerPerson"]["value"] == 1
    assert admin.get(admin.link[admin.link.index("/login"):]).status == 410


def test_the_stock_kubectl_sees_every_lab(own_server, tmp_path):
    server = own_server().start()
    person = Person(server)
    lab = person.start_lab("kubernetes-for-beginners")
    config = tmp_path / "kc"
    config.write_text(server.command("admin", "kubeconfig").stdout)
    kubectl = pathlib.Path(os.environ.get("LECTERN_IMAGES", "/var/lib/lectern/images")) / "lectern/node/rootfs/usr/bin/kubectl"

    def run_kubectl(*arguments):
        result = subprocess.run([str(kubectl), "--kubeconfig", str(config), *arguments], capture_output=True, text=True, timeout=60,
                                env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
        assert result.returncode == 0, result.stderr
        return result.stdout

    pods = run_kubectl("get", "pods", "-A", "-o", "wide")
    assert pods.count(f"lab-{lab['id']}") == 2 and "Running" in pods and "172.30.0.12" in pods
    described = run_kubectl("describe", "pod", "node1", "-n", f"lab-{lab['id']}")
    assert "lectern/node" in described and "Ready" in described
    assert "Started" in run_kubectl("get", "events", "-n", f"lab-{lab['id']}")
    run_kubectl("logs", "node1", "-n", f"lab-{lab['id']}")
    assert "Ready" in run_kubectl("get", "nodes")


def test_a_full_disk_is_said_and_survived(own_server):
    server = own_server()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=711", "lectern-test", str(server.state)], check=True)
    try:
        server.start()
        person = Person(server)
        filler = server.state / "filler"
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
                    file.flush()
            except OSError:
                pass
        answer = person.post("/api/v1/labs", {"workshop": "linux-terminal"})
        if answer.status == 201:
            lab = answer.json["id"]
            wait_until(lambda: person.get(f"/api/v1/labs/{lab}").json["state"] == "failed", 20, "the lab failing")
            words = person.get(f"/api/v1/labs/{lab}").json["message"]
        else:
            assert answer.status in (500, 503), answer.text
            words = answer.json["detail"]
        assert "disk" in words.lower() or "orchestrator" in words.lower(), words
        assert server.answers()
        filler.unlink()
        server.destroy_labs()
        person.start_lab("linux-terminal")
    finally:
        server.destroy_labs()
        server.stop()
        subprocess.run(["umount", str(server.state)], check=True)
        server.process = None


def test_a_missing_program_is_named(own_server):
    server = own_server()
    server.write_config()
    # In a mount namespace of its own, where no program is installed.
    hide = "mount -t tmpfs none /usr/local/bin && mount -t tmpfs none /usr/bin"
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "sh", str(PROGRAM), "serve", "--config", str(server.config)],
        capture_output=True, text=True, timeout=30,
    )
    assert result.returncode != 0 and "crun" in result.stderr, result.stderr
