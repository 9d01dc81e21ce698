// Who owns which lab, readable on the loop without waiting.
internal import Labs
internal import Synchronization

/// Follows the labs' changes; answers for WebSockets, whose requests are judged at once.
final class LabIndex: Sendable {
    private let labs = Mutex<[String: Lab]>([:])

    func note(_ lab: Lab) {
        labs.withLock { $0[lab.id] = lab.state == .ended ? nil : lab }
    }

    func lab(_ id: String) -> Lab? { labs.withLock { $0[id] } }

    var countByState: [LabState: Int] {
        labs.withLock { labs in labs.values.reduce(into: [:]) { $0[$1.state, default: 0] += 1 } }
    }

    var nodeCount: Int { labs.withLock { $0.values.reduce(0) { $0 + $1.nodes.count } } }
}
