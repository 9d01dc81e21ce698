// Says that this machine is a node: the Node object, its state, and a Lease renewed while the kubelet lives.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Logging

struct NodeRegistration: Sendable {
    static let leaseSeconds = 40
    static let renewSeconds = 10
    private static let leaseNamespace = "kube-node-lease"

    let settings: KubeletSettings
    let client: ClusterClient
    let clock: any WallClock
    let state: String
    private let kernel = LinuxKernel()

    init(settings: KubeletSettings, client: ClusterClient, clock: any WallClock, state: String) {
        self.settings = settings
        self.client = client
        self.clock = clock
        self.state = state
    }

    /// Makes or renews the Node object.
    func register() async throws(ClusterProblem) {
        let labels: JSON = [
            "kubernetes.io/hostname": .string(settings.nodeName), "kubernetes.io/os": "linux",
            "kubernetes.io/arch": .string(Machine.architecture),
        ]
        do throws(ClusterProblem) {
            _ = try await client.create(
                .nodes,
                [
                    "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(settings.nodeName), "labels": labels],
                    "spec": .emptyObject,
                ])
        } catch {
            guard error.isAlreadyExists else { throw error }
        }
        try await writeStatus()
        try await renewLease()
    }

    func keepAlive() async throws {
        while !Task.isCancelled {
            try await Task.sleep(for: .seconds(Self.renewSeconds))
            do throws(ClusterProblem) {
                try await renewLease()
                try await writeStatus()
            } catch {
                Logger(label: "kubelet").warning("node state not written", metadata: ["cause": "\(error)"])
            }
        }
    }

    private func writeStatus() async throws(ClusterProblem) {
        let old = (try? await client.get(.nodes, name: settings.nodeName))?["status"] ?? .null
        _ = try await client.patch(.nodes, name: settings.nodeName, .merge, ["status": status(old: old)], subresource: "status")
    }

    private func status(old: JSON) -> JSON {
        let machine = Machine(kernel: kernel, state: state)
        let capacity: JSON = [
            "cpu": .string(String(machine.processors)), "memory": .string("\(machine.memoryKiB)Ki"),
            "ephemeral-storage": .string("\(machine.disk.totalBytes >> 10)Ki"), "pods": .string(String(settings.podLimit)),
        ]
        let isFull = machine.disk.totalBytes > 0 && machine.disk.freeBytes < machine.disk.totalBytes / 20
        return [
            "capacity": capacity, "allocatable": capacity,
            "addresses": [
                ["type": "InternalIP", "address": .string(settings.address)], ["type": "Hostname", "address": .string(settings.nodeName)],
            ],
            "conditions": .array([
                condition("MemoryPressure", machine.isShortOfMemory, "KubeletHasSufficientMemory", "KubeletHasInsufficientMemory", old),
                condition("DiskPressure", isFull, "KubeletHasNoDiskPressure", "KubeletHasDiskPressure", old),
                condition("PIDPressure", false, "KubeletHasSufficientPID", "KubeletHasInsufficientPID", old),
                condition("Ready", true, "KubeletNotReady", "KubeletReady", old),
            ]),
            "nodeInfo": [
                "machineID": .string(machine.machineID), "systemUUID": .string(machine.machineID), "bootID": .string(machine.bootID),
                "kernelVersion": .string(machine.kernelVersion), "osImage": .string(machine.systemName),
                "containerRuntimeVersion": "crun://1", "kubeletVersion": .string(settings.version),
                "kubeProxyVersion": .string(settings.version),
                "operatingSystem": "linux", "architecture": .string(Machine.architecture),
            ],
        ]
    }

    private func condition(_ type: String, _ holds: Bool, _ no: String, _ yes: String, _ old: JSON) -> JSON {
        let now = JSON.string(clock.now().rfc3339)
        let before = old["conditions"]?.array?.first { $0["type"]?.string == type }
        let value = holds ? "True" : "False"
        return [
            "type": .string(type), "status": .string(value), "lastHeartbeatTime": now,
            "lastTransitionTime": before?["status"]?.string == value ? before?["lastTransitionTime"] ?? now : now,
            "reason": .string(holds ? yes : no), "message": .string("kubelet has reported \(type) = \(value)"),
        ]
    }

    private func renewLease() async throws(ClusterProblem) {
        let now = JSON.string(clock.now().rfc3339Micro)
        let spec: JSON = ["holderIdentity": .string(settings.nodeName), "leaseDurationSeconds": JSON(Self.leaseSeconds), "renewTime": now]
        do throws(ClusterProblem) {
            _ = try await client.patch(.leases, namespace: Self.leaseNamespace, name: settings.nodeName, .merge, ["spec": spec])
            return
        } catch {
            guard error.isNotFound else { throw error }
        }
        do throws(ClusterProblem) {
            _ = try await client.create(
                .namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(Self.leaseNamespace)]])
        } catch {
            guard error.isAlreadyExists else { throw error }
        }
        do throws(ClusterProblem) {
            _ = try await client.create(
                .leases,
                [
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": ["name": .string(settings.nodeName), "namespace": .string(Self.leaseNamespace)], "spec": spec,
                ])
        } catch {
            guard error.isAlreadyExists else { throw error }
        }
    }
}
