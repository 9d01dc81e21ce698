"""From bare nodes to a cluster and back, by kubeadm, in a real lab."""

import pathlib
import re

import pytest

from lectern import Person, ROOT, wait_until

WEAVE = ROOT / "Workshops/kubernetes-for-beginners/mirrors/weave-daemonset-k8s.yaml"


class Nodes:
    def __init__(self, person, lab):
        self.person, self.lab = person, lab

    def sh(self, node, script, status=0, timeout=120):
        result = self.person.exec(self.lab, node, "bash", "-lc", script, timeout=timeout)
        if status is not None:
            assert result["exitCode"] == status, result
        return result["stdout"]


@pytest.fixture(scope="module")
def nodes(server):
    person = Person(server)
    lab = person.start_lab("kubernetes-for-beginners")["id"]
    nodes = Nodes(person, lab)
    nodes.init = nodes.sh("node1", "kubeadm init --apiserver-advertise-address $(hostname -i)")
    nodes.join = re.search(r"^kubeadm join .*$", nodes.init, re.M).group(0)
    nodes.joined = nodes.sh("node2", nodes.join)
    yield nodes
    person.end_lab(lab)


def test_before_init_the_kubelet_waits_for_its_configuration(own_server):
    person = Person(own_server().start())
    nodes = Nodes(person, person.start_lab("kubernetes-for-beginners")["id"])
    status = nodes.sh("node1", "systemctl status kubelet", status=3)
    assert "Active: inactive (dead)" in status and "ConditionPathExists=/var/lib/kubelet/config.yaml was not met" in status
    assert nodes.sh("node1", "systemctl is-enabled kubelet") == "enabled\n"
    assert nodes.sh("node1", "mount | grep ' /var/lib/kubelet '").split()[4] == "ext4"
    person.end_lab(nodes.lab)


def test_init_reads_as_upstreams_and_ends_with_a_whole_join_line(nodes):
    phases = [
        "[init] Using Kubernetes version: v1.32.0",
        "[preflight] Running pre-flight checks",
        '[certs] Generating "ca" certificate and key',
        '[kubeconfig] Writing "admin.conf" kubeconfig file',
        '[etcd] Creating static Pod manifest for local etcd in "/etc/kubernetes/manifests"',
        '[control-plane] Creating static Pod manifest for "kube-apiserver"',
        "[kubelet-start] Starting the kubelet",
        "[kubelet-check] The kubelet is healthy after",
        "[api-check] The API server is healthy after",
        '[upload-config] Storing the configuration used in ConfigMap "kubeadm-config"',
        "[mark-control-plane] Marking the node node1 as control-plane",
        "[bootstrap-token] Using token:",
        "[addons] Applied essential addon: CoreDNS",
        "[addons] Applied essential addon: kube-proxy",
        "Your Kubernetes control-plane has initialized successfully!",
    ]
    places = [nodes.init.index(phase) for phase in phases]
    assert places == sorted(places)
    assert re.fullmatch(
        r"kubeadm join 172\.30\.0\.11:6443 --token [a-z0-9]{6}\.[a-z0-9]{16} --discovery-token-ca-cert-hash sha256:[0-9a-f]{64}", nodes.join
    )
    assert "This node has joined the cluster" in nodes.joined


def test_kubectl_works_on_both_nodes_and_a_network_makes_them_ready(nodes):
    for node in ("node1", "node2"):
        assert nodes.sh(node, "kubectl get nodes --no-headers | wc -l") == "2\n"
    manifest = pathlib.Path(WEAVE).read_text()
    nodes.sh("node1", f"cat > /root/weave.yaml <<'EOF'\n{manifest}\nEOF\nkubectl apply -f /root/weave.yaml")
    wait_until(lambda: nodes.sh("node1", "kubectl get nodes --no-headers | grep -cw Ready", status=None) == "2\n", 30, "both nodes being Ready")
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        assert f"{name}-node1" in nodes.sh("node1", "kubectl get pods -n kube-system")
    wait_until(
        lambda: nodes.sh("node1", "kubectl get pods -A --no-headers | grep -vcw Running", status=None) == "0\n", 30, "all of kube-system running"
    )


def test_the_first_node_takes_pods(nodes):
    assert nodes.sh("node1", "kubectl get node node1 -o jsonpath='{.spec.taints}'") == ""
    assert "control-plane" in nodes.sh("node1", "kubectl get node node1 --no-headers")


def test_the_classic_kubectl_makes_deployments_and_says_so(nodes):
    result = nodes.person.exec(nodes.lab, "node1", "bash", "-lc", "kubectl run pingpong --image alpine ping 172.30.0.12", timeout=30)
    assert result["stdout"] == "deployment.apps/pingpong created\n"
    assert result["stderr"] == "kubectl of today: kubectl create deployment pingpong --image=alpine -- ping 172.30.0.12\n"
    nodes.sh("node1", "kubectl rollout status deploy/pingpong --timeout=30s")
    wait_until(lambda: "bytes from 172.30.0.12" in nodes.sh("node1", "kubectl logs deploy/pingpong --tail 3", status=None), 20, "pings")
    assert "progressDeadlineSeconds" not in nodes.sh("node1", "kubectl get deploy/pingpong -o yaml --export")
    nodes.sh("node1", "kubectl delete deploy/pingpong --grace-period=1")


def test_a_killed_kubelet_comes_back_and_its_containers_go_on(nodes):
    ids = "kubectl get pods -n kube-system -o jsonpath='{.items[*].status.containerStatuses[*].containerID}'"
    before = nodes.sh("node1", ids)
    nodes.sh("node1", "kill -9 $(systemctl show kubelet | sed -n 's/MainPID=//p')")
    journal = lambda: nodes.sh("node1", "journalctl -u kubelet --no-pager")
    wait_until(lambda: "Scheduled restart job" in journal(), 20, "the kubelet being started again")
    wait_until(lambda: nodes.sh("node1", "systemctl is-active kubelet", status=None) == "active\n", 20, "the kubelet being back")
    assert nodes.sh("node1", ids) == before


def test_wrong_tokens_and_hashes_are_refused_in_upstreams_words(nodes):
    nodes.sh("node1", "kubectl delete node node2")
    nodes.sh("node2", "kubeadm reset -f")
    run = lambda line: nodes.person.exec(nodes.lab, "node2", "bash", "-lc", line, timeout=60)["stderr"]
    wrong = re.sub(r"sha256:.*", "sha256:" + "0" * 64, nodes.join)
    assert "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys" in run(wrong)
    stranger = re.sub(r"--token \S+", "--token abcdef.0123456789abcdef", nodes.join)
    assert 'could not find a JWS signature in the cluster-info ConfigMap for token ID "abcdef"' in run(stranger)
    assert "Port 6443 is in use" in nodes.person.exec(nodes.lab, "node1", "kubeadm", "init")["stderr"]


def test_a_node_that_was_reset_joins_again(nodes):
    line = nodes.sh("node1", "kubeadm token create --print-join-command").strip()
    assert line.startswith("kubeadm join 172.30.0.11:6443 --token ")
    assert "This node has joined the cluster" in nodes.sh("node2", line)
    wait_until(lambda: nodes.sh("node2", "kubectl get node node2 --no-headers | grep -cw Ready", status=None) == "1\n", 30, "node2 being Ready")


def test_a_reset_control_plane_can_be_made_anew(nodes):
    nodes.sh("node1", "kubeadm reset -f")
    assert nodes.sh("node1", "ls /etc/kubernetes/manifests /etc/kubernetes/pki /var/lib/etcd /var/lib/kubelet | grep -v : | tr -d '\\n'") == ""
    assert nodes.sh("node1", "pgrep -c 'kube|etcd'", status=None) == "0\n"
    again = nodes.sh("node1", "kubeadm init --pod-network-cidr 10.244.0.0/16 --token abcdef.0123456789abcdef")
    assert "--token abcdef.0123456789abcdef" in again
    wait_until(
        lambda: nodes.sh("node1", "kubectl get node node1 -o jsonpath='{.spec.podCIDR}'", status=None) == "10.244.0.0/24", 20, "a pod CIDR"
    )
