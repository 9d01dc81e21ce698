"""The seed lesson's Kubernetes, line by line, typed into a fresh lab's terminals."""

import re

import pytest

from lectern import ROOT, Person, Server, traces, wait_until
from shell import Shell

WORKSHOPS = ROOT / "Tests/System/workshops"


@pytest.fixture(scope="module")
def classic():
    """A lab of the lesson's vintage, with a terminal on each node."""
    server = Server(workshops=WORKSHOPS).start()
    person = Person(server)
    lab = person.start_lab("classic")
    yield lab["id"], Shell(server, person, lab["id"], "node1"), Shell(server, person, lab["id"], "node2")
    server.destroy()
    wait_until(lambda: traces(server) == [], 30, "nothing being left")


def test_01_the_shell_answers(classic):
    _, one, two = classic
    one.ok("ls")
    assert one.ok("hostname -i").split() == ["172.30.0.11"]
    assert two.ok("hostname -i").split() == ["172.30.0.12"]
    status, text = one.run("kubectl get nodes")
    assert status != 0, text


def test_02_kubeadm_makes_a_cluster(classic):
    _, one, two = classic
    text = one.ok("kubeadm init --apiserver-advertise-address $(hostname -i)", 60)
    assert "Your Kubernetes control-plane has initialized successfully!" in text
    for part in ("[preflight]", "[certs]", "[kubeconfig]", "[control-plane]", "[bootstrap-token]", "[addons]"):
        assert part in text, part
    joins = re.findall(r"kubeadm join 172\.30\.0\.11:6443 --token [a-z0-9.]+ --discovery-token-ca-cert-hash sha256:[0-9a-f]{64}", text)
    assert joins, text
    text = two.ok(joins[0], 60)
    assert "This node has joined the cluster" in text


def test_03_nodes_are_ready_with_a_network(classic):
    _, one, two = classic
    assert re.search(r"node1\s+NotReady", one.ok("kubectl get nodes"))
    text = one.ok("kubectl apply -n kube-system -f /usr/share/lectern/mirrors/weave-daemonset-k8s.yaml")
    for kind in ("serviceaccount/weave-net", "clusterrole", "clusterrolebinding", "role", "rolebinding", "daemonset.apps/weave-net"):
        assert kind in text, text
    one.until("kubectl get nodes", r"node1\s+Ready.*node2\s+Ready", 60)
    assert re.search(r"node2\s+Ready", two.ok("kubectl get nodes"))


def test_04_first_contact(classic):
    _, one, _ = classic
    for word in ("node", "no", "nodes"):
        assert one.ok(f"kubectl get {word}").count("Ready") == 2
    assert "172.30.0.12" in one.ok("kubectl get nodes -o wide")
    assert re.search(r"kind: List\s", one.ok("kubectl get no -o yaml | tail -5"))
    text = one.ok('kubectl get nodes -o json | jq ".items[] | {name:.metadata.name} + .status.capacity"')
    assert '"name": "node1"' in text and '"cpu"' in text and '"memory"' in text
    _, text = one.run("kubectl get")
    assert "deployments" in text and "pods" in text
    text = one.ok("kubectl describe node node1")
    assert "Allocatable:" in text and "kube-apiserver-node1" in text
    assert "replicas" in one.ok("kubectl explain deploy.spec --recursive")
    assert re.search(r"kubernetes\s+ClusterIP\s+10\.96\.0\.1", one.ok("kubectl get services"))
    assert "kubernetes" in one.ok("kubectl get svc")
    text = one.ok("curl -sk https://10.96.0.1")
    assert '"code": 403' in text.replace('"code":403', '"code": 403') and "system:anonymous" in text
    assert "No resources found in default namespace." in one.ok("kubectl get pods")
    text = one.ok("kubectl get ns")
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        assert name in text
    text = one.until("kubectl -n kube-system get pods", r"coredns-\S+\s+1/1", 60)
    for name in ("etcd-node1", "kube-apiserver-node1", "kube-controller-manager-node1", "kube-scheduler-node1", "kube-proxy-", "weave-net-"):
        assert name in text, text


def test_05_first_containers(classic):
    _, one, two = classic
    status, text = one.run("kubectl run pingpong --image alpine ping 8.8.8.8")
    assert status == 0 and "deployment.apps/pingpong created" in text, text
    text = one.until("kubectl get all", r"pod/pingpong-\S+\s+1/1\s+Running", 60)
    assert "deployment.apps/pingpong" in text and "replicaset.apps/pingpong-" in text
    one.until("kubectl logs deploy/pingpong", r"64 bytes from 8\.8\.8\.8", 30)
    one.begin("kubectl logs deploy/pingpong --tail 1 --follow")
    one.read(r"seq=\d+[\s\S]*seq=\d+", 30)
    one.interrupt()
    assert "seq=" in one.ok("kubectl logs deploy/pingpong --since 5s")
    one.ok("kubectl scale deploy/pingpong --replicas 8")
    one.until("kubectl get deploy pingpong", r"8/8", 60)
    two.begin("kubectl get pods -w")
    two.read(r"pingpong-\S+", 20)
    pod = one.ok("kubectl get pods -o name | head -1").strip().split("/")[1]
    assert f'pod "{pod}" deleted' in one.ok(f"kubectl delete pod {pod}", 60)
    two.read(pod + r"\s+\d/1\s+Terminating", 40)
    two.interrupt()
    one.until("kubectl get deploy pingpong", r"8/8", 60)
    lines = one.ok("kubectl logs -l run=pingpong --tail 1").strip().splitlines()
    assert len(lines) == 8, lines
    one.ok("kubectl delete deploy/pingpong")
    one.until("kubectl get pods 2>&1", r"No resources found", 60)


def test_06_other_wishes(classic):
    _, one, _ = classic
    assert "job.batch/once created" in one.ok("kubectl run once --image=alpine --restart=OnFailure -- echo done")
    one.until("kubectl get job once", r"1/1", 60)
    assert "pod/bare created" in one.ok("kubectl run bare --image=alpine --restart=Never -- echo bare")
    one.until("kubectl get pod bare", r"Completed", 60)
    assert "bare" in one.ok("kubectl logs bare")
    assert "cronjob.batch/often created" in one.ok("kubectl run often --image=alpine --schedule='*/1 * * * *' -- date")
    assert "often" in one.ok("kubectl get cronjob")
    one.ok("kubectl delete job/once pod/bare cronjob/often")


def test_07_services(classic):
    _, one, two = classic
    one.ok("kubectl run web --image=nginx --replicas=4")
    one.until("kubectl get deploy web", r"4/4", 60)
    assert "service/web exposed" in one.ok("kubectl expose deploy/web --port 80")
    assert re.search(r"web\s+ClusterIP\s+10\.", one.ok("kubectl get svc"))
    one.ok("IP=$(kubectl get svc web -o go-template --template '{{ .spec.clusterIP }}')")
    one.until("curl -s http://$IP/", r"nginx", 20)
    one.ok("kubectl run look --image=alpine --restart=Never -- sleep 600")
    one.until("kubectl get pod look", r"1/1", 30)
    one.until("kubectl exec look -- wget -qO- http://web/", r"nginx", 20)
    text = one.ok("kubectl exec look -- nslookup web.default.svc.cluster.local")
    assert re.search(r"Address.*10\.", text)
    assert "service/nodes created" in one.ok("kubectl create service nodeport nodes --tcp=80 --node-port=30001")
    one.ok("kubectl patch service nodes -p '{\"spec\":{\"selector\":{\"run\":\"web\",\"app\":null}}}'")
    one.until("curl -s http://node2:30001/", r"nginx", 20)
    two.until("curl -s http://node1:30001/", r"nginx", 20)
    one.ok("kubectl delete deploy/web")
    assert re.search(r"\bweb\b", one.ok("kubectl get svc")), "the service stays"
    one.ok("kubectl delete svc web nodes; kubectl delete pod look --grace-period=0 --force")


def test_08_one_on_every_node(classic):
    _, one, _ = classic
    one.ok("kubectl run rng --image=nginx -l app=rng")
    one.until("kubectl get deploy rng", r"1/1", 60)
    one.ok("kubectl get deploy/rng -o yaml --export >rng.yml")
    text = one.ok("cat rng.yml")
    assert "uid:" not in text and "conditions:" not in text and "resourceVersion" not in text
    one.ok("sed -i 's/kind: Deployment/kind: DaemonSet/' rng.yml")
    status, text = one.run("kubectl apply -f rng.yml")
    assert status != 0 and 'unknown field "spec.replicas"' in text and 'unknown field "spec.strategy"' in text, text
    assert "daemonset.apps/rng created" in one.ok("kubectl apply -f rng.yml --validate=false")
    one.until("kubectl get ds rng", r"rng\s+2\s+2\s+2", 60)
    text = one.ok("kubectl get all")
    assert "deployment.apps/rng" in text and "daemonset.apps/rng" in text
    assert "app=rng" in one.ok("kubectl describe deploy rng")
    name = one.ok("kubectl get rs -l app=rng -o name").strip()
    assert "pod-template-hash" in one.ok(f"kubectl describe {name}")
    one.ok("EDITOR=\"sed -i 's/^  labels:$/  labels:\\n    isactive: \\\"yes\\\"/;'\" kubectl edit daemonset rng")
    assert "isactive=yes" in one.ok("kubectl get ds rng --show-labels")
    one.ok("kubectl delete ds/rng deploy/rng")


def test_09_rolling_updates(classic):
    _, one, _ = classic
    one.ok("kubectl run worker --image=nginx --replicas=10")
    one.until("kubectl get deploy worker", r"10/10", 90)
    one.ok("kubectl set image deploy worker worker=nginx:alpine")
    assert "successfully rolled out" in one.ok("kubectl rollout status deploy worker", 120)
    one.ok("kubectl set image deploy worker worker=nginx:does-not-exist")
    one.until("kubectl get pods", r"(ErrImagePull|ImagePullBackOff)", 60)
    one.begin("kubectl rollout status deploy worker")
    one.read(r"Waiting for deployment", 20)
    one.interrupt()
    one.ok("kubectl rollout undo deploy worker")
    assert "successfully rolled out" in one.ok("kubectl rollout status deploy worker", 120)
    patch = """
spec:
  strategy:
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 3
  minReadySeconds: 1
"""
    one.ok("cat > patch.yml <<'E'" + patch + "E\n")
    one.ok('kubectl patch deployment worker -p "$(cat patch.yml)"')
    one.ok("kubectl set image deploy worker worker=nginx:latest")
    assert "successfully rolled out" in one.ok("kubectl rollout status deploy worker", 180)
    assert "3" in one.ok("kubectl rollout history deploy worker")
    one.ok("kubectl delete deploy worker")


def test_10_what_else_there_is(classic):
    _, one, _ = classic
    one.ok("kubectl create namespace blue && kubectl create namespace green")
    for name in ("blue", "green"):
        one.ok(f"kubectl -n {name} create deployment web --image=nginx && kubectl -n {name} expose deploy web --port 80")
    one.ok("kubectl create service externalname outside --external-name web.blue.svc.cluster.local")
    one.ok("kubectl create configmap settings --from-literal=colour=red && kubectl create secret generic keys --from-literal=k=v")
    one.ok("kubectl run look --image=alpine --restart=Never -- sleep 600")
    one.until("kubectl get pod look", r"1/1", 30)
    one.until("kubectl exec look -- wget -qO- http://web.green/", r"nginx", 30)
    one.until("kubectl exec look -- wget -qO- http://outside/", r"nginx", 30)
    one.ok("kubectl -n green create -f - <<'E'\n"
           "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed}\nspec: {podSelector: {}}\nE\n")
    one.until("kubectl exec look -- wget -T 2 -qO- http://web.green/ 2>&1; true", r"timed out", 30)
    one.ok("kubectl delete ns blue green", 90)
    one.ok("kubectl delete pod look --force --grace-period=0; kubectl delete svc outside; kubectl delete cm settings; kubectl delete secret keys")


def test_11_components_are_real(classic):
    _, one, _ = classic
    for name in ("etcd", "kube-scheduler", "kube-apiserver", "kube-controller-manager"):
        before = one.ok(f"pgrep -f '^{name} '").split()[0]
        one.ok(f"kill -9 {before}")
        one.until(f"pgrep -f '^{name} '", r"^(?!%s\b)\d+" % before, 60)
        one.until(f"kubectl -n kube-system get pod {name}-node1 2>&1", r"1/1\s+Running\s+[1-9]", 90)
    assert "active (running)" in one.ok("systemctl status kubelet")
    one.ok("systemctl restart kubelet")
    one.until("kubectl get nodes", r"node1\s+Ready", 60)
    assert len(one.ok("journalctl -u kubelet --no-pager -n 5").splitlines()) >= 1
