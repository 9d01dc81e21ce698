// Ways to what runs in a pod: its agent, its ports, a command inside it, and what it uses.
internal import Containers
package import Essentials
package import Kernel

extension PodSandboxes {
    /// A connection to the agent of a pod, non-blocking.
    package nonisolated func openAgent(namespace: String, pod: String) throws(KernelProblem) -> OwnedDescriptor {
        try kernel.connect(unixSocket: paths.pod(namespace, pod).agentSocket)
    }

    /// A non-blocking connection, made or in the making, to a port of a pod, from its router.
    package func openPort(namespace: String, pod: String, port: UInt16) throws -> OwnedDescriptor {
        guard let address = addresses[namespace]?[pod] else { throw KubeletProblem.notRunning(pod) }
        return try kernel.connect(
            inNetworkNamespace: threads.root + paths.router(namespace), address: address.description, port: port)
    }

    /// A non-blocking connection to a port that listens inside the pod on 127.0.0.1 only.
    package func openLoopbackPort(namespace: String, pod: String, port: UInt16) throws -> OwnedDescriptor {
        guard addresses[namespace]?[pod] != nil else { throw KubeletProblem.notRunning(pod) }
        return try kernel.connect(inNetworkNamespace: threads.root + paths.pod(namespace, pod).network, address: "127.0.0.1", port: port)
    }

    /// Starts a command in a running container; its output goes to the container's log.
    func runInside(_ command: [String], namespace: String, pod: String, container: String) async throws -> Int32 {
        let place = paths.pod(namespace, pod)
        return try await threads.run { [self] () throws in
            try runtime.execute(command, in: place, namespace: namespace, pod: pod, container: container)
        }
    }

    /// What a pod uses of the machine.
    package nonisolated func usage(namespace: String, pod: String, container: String) -> PodUsage {
        let group = controlGroups.usage(namespace, "\(pod).\(container)")
        let disk = (try? kernel.allocatedBytes(paths.pod(namespace, pod).diskImage)) ?? 0
        return PodUsage(
            memoryBytes: group.memoryBytes, processorNanoseconds: group.processorNanoseconds, processes: group.processes,
            diskBytes: Int64(clamping: disk))
    }
}

package struct PodUsage: Sendable, Equatable {
    package var memoryBytes: Int64
    package var processorNanoseconds: Int64
    package var processes: Int64
    package var diskBytes: Int64
}
