// Reaches nodes that run on this host: the agent by its socket, ports from inside the lab's own network.
internal import Essentials
internal import Kernel
internal import Kubelet
internal import Labs
internal import Ports
internal import Terminals

struct EmbeddedReach: NodeReach, PortReach {
    /// How long a connection to a port may take to come about, in milliseconds.
    static let connectMilliseconds = 2_000

    let sandboxes: PodSandboxes
    let readiness: Readiness
    private let kernel = LinuxKernel()
    /// Whether a lab is over; its ports then say so instead of waiting.
    private let isOver: @Sendable (_ lab: String) async -> Bool

    init(sandboxes: PodSandboxes, isOver: @escaping @Sendable (_ lab: String) async -> Bool) throws {
        self.sandboxes = sandboxes
        self.isOver = isOver
        readiness = try Readiness()
    }

    func openAgent(lab: String, node: String) async throws -> OwnedDescriptor {
        try sandboxes.openAgent(namespace: Lab.namespace(of: lab), pod: node)
    }

    func openPort(lab: String, node: String, port: UInt16) async throws -> OwnedDescriptor {
        let namespace = Lab.namespace(of: lab)
        do {
            if let descriptor = try await connected(sandboxes.openPort(namespace: namespace, pod: node, port: port)) { return descriptor }
            // Programs that listen on 127.0.0.1 only are reached from inside the node itself.
            if let descriptor = try await connected(sandboxes.openLoopbackPort(namespace: namespace, pod: node, port: port)) {
                return descriptor
            }
        } catch let problem as KubeletProblem where problem.reason == "NotRunning" {
            if await isOver(lab) { throw LabProblem.labNotFound(id: lab) }
        }
        throw KernelProblem(call: "connect", subject: "\(lab)/\(node):\(port)", code: Errno.refused)
    }

    /// The descriptor once it is connected; `nil` where the other side refused or kept silent.
    private func connected(_ descriptor: OwnedDescriptor) async throws -> OwnedDescriptor? {
        let readiness = readiness
        let isReady = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await readiness.wait(for: descriptor, writable: true) }
            group.addTask {
                try? await Task.sleep(for: .milliseconds(Self.connectMilliseconds))
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
        return isReady && kernel.isConnected(descriptor) ? descriptor : nil
    }
}
