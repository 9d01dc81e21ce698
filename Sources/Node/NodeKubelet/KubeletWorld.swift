// What every worker of this kubelet shares: settings, the API, the runtime, and what is known of the node.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods
internal import Synchronization

struct KubeletWorld: Sendable {
    let settings: KubeletSettings
    let client: ClusterClient
    let runtime: any PodRuntime
    let readiness: Readiness
    let events: EventSink
    let objects: ObjectSource
    let node: NodeKnowledge
    let services: Informer
    /// Open once the services are known, or have been waited for long enough.
    let servicesKnown: Gate
    let sessions = ProbeSessions()
    /// Writes out what the API says of mirrors.
    let mirrors: MirrorPods

    func environment(of pod: JSON, addresses: [String]) -> PodEnvironment {
        PodEnvironment(
            pod: pod, nodeName: settings.nodeName, hostAddress: node.address, addresses: addresses, allocatable: node.allocatable,
            services: services.items())
    }

    var status: StatusSurroundings { StatusSurroundings(hostAddress: node.address, runtimeName: settings.runtimeName) }
}

/// What the kubelet knows of its node, as the API shows it and as it found it itself.
final class NodeKnowledge: Sendable {
    private struct State {
        var node: JSON = .null
        var address: String
        var allocatable: [String: Quantity] = [:]
        var networkProblem: String?
        var pressures: Set<String> = []
    }
    private let state: Mutex<State>

    init(address: String) { state = Mutex(State(address: address)) }

    var address: String { state.withLock { $0.address } }
    var labels: [String: String] { state.withLock { $0.node.metaLabels } }
    var uid: String? { state.withLock { $0.node.isNull ? nil : $0.node.metaUID } }
    var node: JSON { state.withLock { $0.node } }
    var allocatable: [String: Quantity] { state.withLock { $0.allocatable } }
    var networkProblem: String? { state.withLock { $0.networkProblem } }
    var pressures: Set<String> { state.withLock { $0.pressures } }

    func note(node: JSON) { state.withLock { $0.node = node } }
    func note(allocatable: [String: Quantity]) { state.withLock { $0.allocatable = allocatable } }
    func note(networkProblem: String?) { state.withLock { $0.networkProblem = networkProblem } }
    func note(address: String) { state.withLock { $0.address = address } }
    /// Whether it changed.
    func note(pressures: Set<String>) -> Bool {
        state.withLock { state in
            defer { state.pressures = pressures }
            return state.pressures != pressures
        }
    }
}

/// Closed, then open for ever.
final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}
