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
