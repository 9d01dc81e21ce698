"""Every live block of "Kubernetes for beginners", run in order in a lab as a learner clicks them."""

import re

from lectern import ROOT, Person, Server, traces, wait_until
from shell import Shell

PAGES = ROOT / "Workshops/kubernetes-for-beginners"
LIVE = ["01-getting-started", "03-first-contact-with-kubectl", "04-first-containers", "05-services"]


def blocks(page):
    """The clickable blocks of a page as (terminal, text)."""
    text = (PAGES / f"{page}.md").read_text()
    return [(int(number), body) for number, body in re.findall(r"^```\.term(\d)\n(.*?)^```$", text, re.S | re.M)]


def test_every_live_block_does_what_the_page_says():
    server = Server().start()
    try:
        person = Person(server)
        lab = person.start_lab("kubernetes-for-beginners")["id"]
        shells = {number: Shell(server, person, lab, f"node{number}") for number in (1, 2)}
        count = 0
        for page in LIVE:
            for number, body in blocks(page):
                shell = shells[number]
                # Lines that end in `\` or stand within a loop or quotes are one command; the page sends a block as one paste.
                if re.search(r"--follow|get pods -w", body):
                    shell.begin(body.strip())
                    shell.read(r"\S+", 30)
                    shell.interrupt()
                elif "curl" in body and "$IP" in body and "https" not in body:
                    shell.until(body.strip(), r"hello-\S+", 30)
                else:
                    text = shell.ok(f"{{ {body.strip()}\n}}", 120)
                    join = re.search(r"^kubeadm join \S+ --token \S+ --discovery-token-ca-cert-hash \S+", text, re.M)
                    if join:
                        shells[2].ok(join.group(0), 60)
                    if "weave-daemonset" in body:
                        shell.until("kubectl get nodes", r"node1\s+Ready.*node2\s+Ready", 60)
                        shell.until("kubectl -n kube-system get pods", r"coredns-\S+\s+1/1", 60)
                    if "create deployment pingpong" in body and "dry-run" not in body:
                        shell.until("kubectl get deploy pingpong", r"1/1", 60)
                    if "scale deploy/pingpong" in body:
                        shell.until("kubectl get deploy pingpong", r"8/8", 60)
                count += 1
        assert count > 30, count
    finally:
        server.destroy()
    wait_until(lambda: traces(server) == [], 30, "nothing being left")
