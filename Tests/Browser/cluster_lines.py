"""Lines of lectern.cluster.v1 for tests and pictures: a small cluster in the middle of a rollout."""

import json


def pod(name, node, state="Running", ready="1/1", namespace="default", labels=None, owner=None, **more):
    kind = "pods"
    return {"uid": f"{kind}-{namespace}-{name}", "name": name, "namespace": namespace, "node": node, "state": state, "ready": ready, "restarts": 0,
            "address": "10.32.0.9", "images": ["alpine"], "labels": labels or {}, **({"owner": {"kind": "ReplicaSet", "name": owner, "uid": owner}} if owner else {}), **more}


def line(kind, *things, gone=()):
    return json.dumps({"kind": kind, "set": list(things), "gone": list(gone)})


def node(name, ready=True, roles=()):
    return {"uid": name, "name": name, "ready": ready, "roles": list(roles), "version": "v1.32.0", "cpu": "2", "memory": "2Gi"}


def event(number, reason, kind, name, message, level="Normal", count=1):
    return {"uid": f"event-{number}", "namespace": "default", "type": level, "reason": reason, "kind": kind, "object": name, "message": message,
            "count": count, "at": f"2026-03-01T10:00:{number:02d}Z"}


WEB = {"app": "web"}
OPENING = [json.dumps({"node": "node1", "state": "opening"})]
WAITING = [*OPENING, json.dumps({"state": "waiting"})]
CLUSTER = [
    *OPENING,
    json.dumps({"state": "connected"}),
    line("nodes", node("node1", roles=["control-plane"]), node("node2")),
    line(
        "pods",
        pod("web-6d5f-aaaaa", "node1", labels=WEB, owner="rs-new"),
        pod("web-6d5f-bbbbb", "node2", labels=WEB, owner="rs-new"),
        pod("web-6d5f-ccccc", "node2", "ContainerCreating", "0/1", labels=WEB, owner="rs-new"),
        pod("web-58bc-ddddd", "node1", labels=WEB, owner="rs-old", ending=True),
        pod("broken-7f9c-eeeee", "node2", "CrashLoopBackOff", "0/1", restarts=4),
        pod("typo", "node1", "ImagePullBackOff", "0/1"),
        pod("once-fffff", "node2", "Completed", "0/1"),
        pod("too-large", None, "Pending", "0/1"),
        pod("etcd-node1", "node1", namespace="kube-system"),
        pod("kube-apiserver-node1", "node1", namespace="kube-system"),
        pod("coredns-668d6bf9bc-x2x2x", "node1", namespace="kube-system"),
    ),
    line(
        "services",
        {"uid": "svc-kubernetes", "name": "kubernetes", "namespace": "default", "type": "ClusterIP", "address": "10.96.0.1", "ports": [{"port": 443, "protocol": "TCP"}]},
        {"uid": "svc-web", "name": "web", "namespace": "default", "type": "NodePort", "address": "10.96.7.7", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}], "selector": WEB},
        {"uid": "svc-dns", "name": "kube-dns", "namespace": "kube-system", "type": "ClusterIP", "address": "10.96.0.10", "ports": [{"port": 53, "protocol": "UDP"}]},
    ),
    line(
        "workloads",
        {"uid": "deploy-web", "name": "web", "namespace": "default", "kind": "Deployment", "desired": 3, "ready": 2, "updated": 2, "rollout": "progressing", "revision": "2"},
        {"uid": "rs-new", "name": "web-6d5f", "namespace": "default", "kind": "ReplicaSet", "desired": 3, "ready": 2, "owner": "deploy-web", "revision": "2"},
        {"uid": "rs-old", "name": "web-58bc", "namespace": "default", "kind": "ReplicaSet", "desired": 1, "ready": 1, "owner": "deploy-web", "revision": "1"},
        {"uid": "job-once", "name": "once", "namespace": "default", "kind": "Job", "desired": 1, "ready": 1},
        {"uid": "cron-tick", "name": "tick", "namespace": "default", "kind": "CronJob", "desired": 0, "ready": 0, "schedule": "*/5 * * * *"},
    ),
    line(
        "events",
        event(1, "ScalingReplicaSet", "Deployment", "web", "Scaled up replica set web-6d5f to 3"),
        event(2, "Scheduled", "Pod", "web-6d5f-ccccc", "Successfully assigned default/web-6d5f-ccccc to node2"),
        event(3, "BackOff", "Pod", "broken-7f9c-eeeee", "Back-off restarting failed container broken", "Warning", 7),
        event(4, "FailedScheduling", "Pod", "too-large", "0/2 nodes are available: 2 Insufficient memory.", "Warning"),
    ),
]
