// Counters for /metrics, in Prometheus' text format, and the readiness answer.
internal import Accounts
internal import Essentials
internal import Labs
internal import Synchronization
internal import Terminals
internal import Web

final class GatewayMetrics: Sendable {
    /// Upper bounds of the duration histogram in seconds.
    static let bounds = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]

    private struct State {
        var byStatus: [Int: Int] = [:]
        var buckets = [Int](repeating: 0, count: GatewayMetrics.bounds.count)
        var sum = 0.0
        var count = 0
    }

    private let state = Mutex(State())

    func note(status: Int, seconds: Double) {
        state.withLock { state in
            state.byStatus[status, default: 0] += 1
            for (index, bound) in Self.bounds.enumerated() where seconds <= bound { state.buckets[index] += 1 }
            state.sum += seconds
            state.count += 1
        }
    }

    var text: String {
        let state = state.withLock { $0 }
        var lines = ["# HELP lectern_http_requests_total Requests answered, by status.", "# TYPE lectern_http_requests_total counter"]
        for (status, count) in state.byStatus.sorted(by: { $0.key < $1.key }) {
            lines.append("lectern_http_requests_total{status=\"\(status)\"} \(count)")
        }
        lines.append("# HELP lectern_http_request_seconds Time to make an answer.")
        lines.append("# TYPE lectern_http_request_seconds histogram")
        for (bound, count) in zip(Self.bounds, state.buckets) {
            lines.append("lectern_http_request_seconds_bucket{le=\"\(bound)\"} \(count)")
        }
        lines.append("lectern_http_request_seconds_bucket{le=\"+Inf\"} \(state.count)")
        lines.append("lectern_http_request_seconds_sum \(state.sum)")
        lines.append("lectern_http_request_seconds_count \(state.count)")
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Gateway {
    func metricsPage() async -> HTTPResponse {
        let machine = await services.machine.load()
        var lines = ["# HELP lectern_labs Labs by state.", "# TYPE lectern_labs gauge"]
        let counts = labIndex.countByState
        for state in [LabState.queued, .creating, .ready, .ending, .failed] {
            lines.append("lectern_labs{state=\"\(state.rawValue)\"} \(counts[state] ?? 0)")
        }
        let gauges: [(String, String, String)] = [
            ("lectern_nodes", "Nodes of all labs.", String(labIndex.nodeCount)),
            ("lectern_event_sockets", "Pages connected for live events.", String(await events.count)),
            ("lectern_terminals", "Terminals open in browsers.", String(await services.terminals.count)),
            ("lectern_memory_used_bytes", "Memory in use on the machine.", String(machine.memoryUsedBytes)),
            ("lectern_server_memory_bytes", "Proportional set size of the server.", String(machine.serverMemoryBytes)),
            ("lectern_disk_free_bytes", "Free bytes where the labs' disks are.", String(machine.diskFreeBytes)),
        ]
        for (name, help, value) in gauges {
            lines.append("# HELP \(name) \(help)")
            lines.append("# TYPE \(name) gauge")
            lines.append("\(name) \(value)")
        }
        return .text(lines.joined(separator: "\n") + "\n" + metrics.text, type: "text/plain; version=0.0.4; charset=utf-8")
    }

    /// Ready means: the database answers.
    func readiness() async -> HTTPResponse {
        do {
            _ = try services.accounts.setting("ready")
            return .text("ok\n")
        } catch {
            return problemResponse(
                GatewayProblem.unavailable("The database does not answer."), for: HTTPRequest(method: "GET", target: "/readyz"))
        }
    }
}
