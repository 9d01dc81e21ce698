// The Kubernetes objects a lab is made of, and how a lab is read back from them.
//
// A lab is the Namespace `lab-ID`; all that must survive a restart stands in its annotations. Its nodes are the Pods
// `node1`…`nodeN` in it; a NetworkPolicy and a ResourceQuota fence it. A Namespace without Pods whose annotation
// `lectern.dev/state` says `queued` waits for a place.
package import Essentials

package enum LabKey {
    package static let lab = "lectern.dev/lab"
    package static let node = "lectern.dev/node"
    package static let workshop = "lectern.dev/workshop"
    package static let owner = "lectern.dev/owner"
    package static let remoteAddress = "lectern.dev/remote-address"
    package static let state = "lectern.dev/state"
    package static let createdAt = "lectern.dev/created-at"
    package static let expiresAt = "lectern.dev/expires-at"
    package static let extensionsUsed = "lectern.dev/extensions-used"
    package static let lastActiveAt = "lectern.dev/last-active-at"
    package static let endReason = "lectern.dev/end-reason"
    package static let endMessage = "lectern.dev/end-message"
    package static let spec = "lectern.dev/spec"
    package static let agent = "lectern.dev/agent"
    package static let address = "lectern.dev/address"
}

/// What a lab's Namespace says about it.
package struct LabRecord: Sendable, Equatable {
    package var id: String
    package var owner: String
    package var remoteAddress: String
    package var isWaiting: Bool
    package var spec: LabSpec
    package var lifetime: Lifetime
    package var end: (reason: String, message: String)?
    package var isDeleting: Bool

    package init(
        id: String, owner: String, remoteAddress: String, isWaiting: Bool, spec: LabSpec, lifetime: Lifetime,
        end: (reason: String, message: String)? = nil, isDeleting: Bool = false
    ) {
        self.id = id
        self.owner = owner
        self.remoteAddress = remoteAddress
        self.isWaiting = isWaiting
        self.spec = spec
        self.lifetime = lifetime
        self.end = end
        self.isDeleting = isDeleting
    }

    package static func == (left: LabRecord, right: LabRecord) -> Bool {
        left.id == right.id && left.owner == right.owner && left.remoteAddress == right.remoteAddress && left.isWaiting == right.isWaiting
            && left.spec == right.spec && left.lifetime == right.lifetime && left.end?.reason == right.end?.reason
            && left.end?.message == right.end?.message && left.isDeleting == right.isDeleting
    }
}

extension LabRecord {
    /// Reads a Namespace; `nil` where it is not a lab's.
    package init?(namespace: JSON) {
        let metadata = namespace["metadata"] ?? .null
        let notes = metadata["annotations"]?.strings ?? [:]
        guard let id = metadata["labels"]?[LabKey.lab]?.string, let owner = notes[LabKey.owner],
            let created = notes[LabKey.createdAt].flatMap(Timestamp.init(rfc3339:)),
            let expires = notes[LabKey.expiresAt].flatMap(Timestamp.init(rfc3339:)),
            let spec = notes[LabKey.spec].flatMap({ try? JSON(parsing: $0) }).flatMap(LabSpec.init(json:))
        else { return nil }
        self.id = id
        self.owner = owner
        self.spec = spec
        remoteAddress = notes[LabKey.remoteAddress] ?? ""
        isWaiting = notes[LabKey.state] == LabState.queued.rawValue
        lifetime = Lifetime(
            createdAt: created, expiresAt: expires, extensionsUsed: notes[LabKey.extensionsUsed].flatMap { Int($0) } ?? 0,
            lastActiveAt: notes[LabKey.lastActiveAt].flatMap(Timestamp.init(rfc3339:)) ?? created)
        end = notes[LabKey.endReason].map { ($0, notes[LabKey.endMessage] ?? "") }
        isDeleting = metadata["deletionTimestamp"] != nil || end != nil
    }

    package var annotations: [String: String] {
        var notes = [
            LabKey.workshop: spec.workshop, LabKey.owner: owner, LabKey.remoteAddress: remoteAddress,
            LabKey.state: isWaiting ? LabState.queued.rawValue : "admitted", LabKey.createdAt: lifetime.createdAt.rfc3339,
            LabKey.expiresAt: lifetime.expiresAt.rfc3339, LabKey.extensionsUsed: String(lifetime.extensionsUsed),
            LabKey.lastActiveAt: lifetime.lastActiveAt.rfc3339, LabKey.spec: spec.json.text,
        ]
        if let end {
            notes[LabKey.endReason] = end.reason
            notes[LabKey.endMessage] = end.message
        }
        return notes
    }

    package var load: LabLoad {
        LabLoad(
            id: id, owner: owner, address: remoteAddress, isWaiting: isWaiting, createdAt: lifetime.createdAt, expiresAt: lifetime.expiresAt
        )
    }
}

extension LabSpec {
    package var json: JSON {
        [
            "workshop": JSON(workshop), "nodes": JSON(nodes), "image": JSON(image), "lifetimeMinutes": JSON(lifetimeMinutes),
            "memoryMiBPerNode": JSON(memoryMiBPerNode), "cpuMillisPerNode": JSON(cpuMillisPerNode), "pidsPerNode": JSON(pidsPerNode),
            "diskMiBPerNode": JSON(diskMiBPerNode), "egress": JSON(egress), "kubernetes": JSON(kubernetes),
        ]
    }

    package init?(json: JSON) {
        guard let workshop = json["workshop"]?.string, let nodes = json["nodes"]?.int, (1...5).contains(nodes) else { return nil }
        self.init(
            workshop: workshop, nodes: nodes, image: json["image"]?.string ?? "lectern/node", lifetimeMinutes: json["lifetimeMinutes"]?.int,
            memoryMiBPerNode: json["memoryMiBPerNode"]?.int, cpuMillisPerNode: json["cpuMillisPerNode"]?.int,
            pidsPerNode: json["pidsPerNode"]?.int, diskMiBPerNode: json["diskMiBPerNode"]?.int, egress: json["egress"]?.bool ?? false,
            kubernetes: json["kubernetes"]?.string)
    }
}

/// Builds the objects of one lab.
package struct LabObjects: Sendable {
    package let record: LabRecord
    package init(record: LabRecord) { self.record = record }

    package static func nodeName(_ index: Int) -> String { "node\(index)" }
    package static func address(_ index: Int) -> String { "172.30.0.\(10 + index)" }

    package var namespace: JSON {
        [
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": [
                "name": JSON(Lab.namespace(of: record.id)), "labels": JSON([LabKey.lab: record.id]),
                "annotations": JSON(record.annotations),
            ],
        ]
    }

    /// No way in, and out only to the lab's own nodes unless its workshop may use the internet.
    package var networkPolicy: JSON {
        let own: JSON = [["podSelector": .emptyObject]]
        return [
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": ["name": "lab", "namespace": JSON(Lab.namespace(of: record.id))],
            "spec": [
                "podSelector": .emptyObject, "policyTypes": ["Ingress", "Egress"], "ingress": [["from": own]],
                "egress": record.spec.egress ? [.emptyObject] : [["to": own]],
            ],
        ]
    }

    package var resourceQuota: JSON {
        let count = record.spec.nodes
        return [
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": ["name": "lab", "namespace": JSON(Lab.namespace(of: record.id))],
            "spec": [
                "hard": [
                    "pods": JSON(String(count)), "limits.memory": JSON("\(count * (record.spec.memoryMiBPerNode ?? 1024))Mi"),
                    "limits.cpu": JSON("\(count * (record.spec.cpuMillisPerNode ?? 1000))m"),
                ]
            ],
        ]
    }

    package func pod(_ index: Int) -> JSON {
        let name = Self.nodeName(index)
        let spec = record.spec
        let others: [JSON] = (1...spec.nodes).filter { $0 != index }.map {
            ["ip": JSON(Self.address($0)), "hostnames": [JSON(Self.nodeName($0))]]
        }
        return [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": [
                "name": JSON(name), "namespace": JSON(Lab.namespace(of: record.id)),
                "labels": JSON([LabKey.lab: record.id, LabKey.node: name]),
                "annotations": JSON([LabKey.agent: "true", LabKey.address: Self.address(index)]),
            ],
            "spec": [
                "hostname": JSON(name), "hostUsers": false, "restartPolicy": "Always", "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false, "enableServiceLinks": false, "hostAliases": .array(others),
                "containers": [
                    [
                        "name": "node", "image": JSON(spec.image), "imagePullPolicy": "Never",
                        "command": ["/usr/lib/lectern/node-agent", "--listen-fd", "3"],
                        "resources": [
                            "limits": [
                                "cpu": JSON("\(spec.cpuMillisPerNode ?? 1000)m"), "memory": JSON("\(spec.memoryMiBPerNode ?? 1024)Mi"),
                                "ephemeral-storage": JSON("\(spec.diskMiBPerNode ?? 2048)Mi"),
                                "lectern.dev/pids": JSON(String(spec.pidsPerNode ?? 1024)),
                            ],
                            // Nodes of labs idle most of the time: what they may use is capped, what is set aside is little.
                            "requests": ["cpu": "10m", "memory": "16Mi", "ephemeral-storage": "16Mi", "lectern.dev/pids": "16"],
                        ],
                        "securityContext": [
                            "procMount": "Unmasked", "seccompProfile": ["type": "RuntimeDefault"],
                            "capabilities": ["add": JSON(Self.capabilities)],
                        ],
                        "env": JSON(spec.kubernetes.map { [["name": "LECTERN_KUBERNETES", "value": JSON($0)]] } ?? []),
                        "volumeMounts": JSON(Self.diskVolumes.map { ["name": JSON($0.name), "mountPath": JSON($0.path)] }),
                    ]
                ],
                "volumes": JSON(Self.diskVolumes.map { ["name": JSON($0.name), "emptyDir": .emptyObject] }),
            ],
        ]
    }

    /// Directories of a node that lie on its disk itself: an overlay's upper layer must not lie upon the node's own overlay, and
    /// what a database syncs must reach the disk.
    static let diskVolumes: [(name: String, path: String)] = [
        ("containers", "/var/lib/containers"), ("kubelet", "/var/lib/kubelet"), ("etcd", "/var/lib/etcd"), ("cni", "/var/lib/cni"),
        ("pod-logs", "/var/log/pods"),
    ]

    /// Held inside the lab's own user namespace only: node root is no one on the host.
    static let capabilities = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_OWNER", "KILL", "MKNOD", "NET_ADMIN",
        "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_ADMIN", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE",
        "SYS_RESOURCE", "SYS_TTY_CONFIG",
    ]
}

extension LabNode {
    /// A node that ended this often in a row is called failed; it is started again all the same, ever more slowly.
    static let restartsForgiven = 4

    /// A node as its Pod shows it. `pod` is `nil` while there is none.
    package init(index: Int, pod: JSON?) {
        let name = LabObjects.nodeName(index)
        let address = pod?["status"]?["podIP"]?.string ?? LabObjects.address(index)
        guard let pod else {
            self.init(name: name, state: .creating, message: "The node is about to be created.", address: address)
            return
        }
        let status = pod["status"] ?? .null
        let container = status["containerStatuses"]?[0]
        let ready = status["conditions"]?.array?.contains { $0["type"] == "Ready" && $0["status"] == "True" } ?? false
        if pod["metadata"]?["deletionTimestamp"] != nil {
            self.init(name: name, state: .gone, message: "The node is being removed.", address: address)
        } else if ready {
            self.init(name: name, state: .ready, message: "", address: address)
        } else if status["phase"] == "Failed" {
            self.init(name: name, state: .failed, message: status["message"]?.string ?? "The node could not be started.", address: address)
        } else if container?["state"]?["waiting"]?["reason"] == "CrashLoopBackOff",
            (container?["restartCount"]?.int ?? 0) < Self.restartsForgiven
        {
            self.init(name: name, state: .creating, message: "The node ended and is started again.", address: address)
        } else if let waiting = container?["state"]?["waiting"], let text = waiting["message"]?.string,
            waiting["reason"] != "ContainerCreating"
        {
            self.init(name: name, state: .failed, message: text, address: address)
        } else {
            let unschedulable = status["conditions"]?.array?.first { $0["type"] == "PodScheduled" && $0["status"] == "False" }
            self.init(
                name: name, state: .creating,
                message: unschedulable?["message"]?.string ?? "The node is starting, which takes under a second.",
                address: address)
        }
    }
}
