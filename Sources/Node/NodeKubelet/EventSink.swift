// Records what happens as Events, beside the work and never in its way; what happens again is counted, not repeated.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Logging
internal import Pods

struct EventSink: Sendable {
    /// Events that wait to be written; more than this and the newest are dropped.
    static let queueLimitEvents = 1000
    /// Events that are remembered to be counted on; more than this and the oldest is forgotten.
    static let memoryLimitEvents = 256
    private static let retryMilliseconds = [100, 200, 500, 1000, 2000, 5000]

    private struct Item: Sendable {
        var involved: JSON
        var note: PodNote
        var at: Timestamp
    }

    private struct Known {
        var namespace: String
        var name: String
        var count: Int
        var used: Int
    }

    private let stream: AsyncStream<Item>
    private let input: AsyncStream<Item>.Continuation
    private let client: ClusterClient
    private let node: String
    private let log = Logger(label: "kubelet")

    init(client: ClusterClient, node: String) {
        (stream, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimitEvents))
        self.client = client
        self.node = node
    }

    func record(_ note: PodNote, about pod: JSON) {
        var involved: JSON = [
            "kind": "Pod", "namespace": JSON(pod.metaNamespace ?? "default"), "name": JSON(pod.metaName), "uid": JSON(pod.metaUID),
            "apiVersion": "v1",
        ]
        if !pod.metaResourceVersion.isEmpty { involved["resourceVersion"] = JSON(pod.metaResourceVersion) }
        if !note.fieldPath.isEmpty { involved["fieldPath"] = JSON(note.fieldPath) }
        input.yield(Item(involved: involved, note: note, at: SystemClock().now()))
    }

    func record(_ note: PodNote, aboutNode name: String) {
        input.yield(Item(involved: ["kind": "Node", "name": JSON(name), "uid": JSON(name)], note: note, at: SystemClock().now()))
    }

    /// Writes until cancelled.
    func run() async {
        var known: [String: Known] = [:]
        var turn = 0
        for await item in stream {
            turn += 1
            let key = [
                item.involved["uid"]?.string ?? "", item.involved["fieldPath"]?.string ?? "", item.note.type, item.note.reason,
                item.note.message,
            ].joined(separator: "\u{0}")
            if var old = known[key] {
                old.count += 1
                old.used = turn
                known[key] = old
                let patch: JSON = ["count": JSON(old.count), "lastTimestamp": JSON(item.at.rfc3339)]
                if await write({ () async throws(ClusterProblem) in
                    _ = try await client.patch(.events, namespace: old.namespace, name: old.name, .merge, patch)
                }) {
                    continue
                }
            }
            let event = document(item)
            guard
                await write({ () async throws(ClusterProblem) in _ = try await client.create(.events, event) })
            else { continue }
            known[key] = Known(namespace: event.metaNamespace ?? "", name: event.metaName, count: 1, used: turn)
            if known.count > Self.memoryLimitEvents, let oldest = known.min(by: { $0.value.used < $1.value.used })?.key {
                known[oldest] = nil
            }
        }
    }

    // Whether it was written; an answer that will not change by asking again is no.
    private func write(_ body: () async throws(ClusterProblem) -> Void) async -> Bool {
        var attempt = 0
        while !Task.isCancelled {
            do throws(ClusterProblem) {
                try await body()
                return true
            } catch {
                // A namespace that is going takes no new events.
                let isTransient = error.code == 0 || error.code >= 500 || error.code == 429 || error.code == 401
                guard isTransient else {
                    if !error.isForbidden, !error.isNotFound { log.warning("event not written", metadata: ["cause": "\(error)"]) }
                    return false
                }
            }
            try? await Task.sleep(for: .milliseconds(Self.retryMilliseconds[min(attempt, Self.retryMilliseconds.count - 1)]))
            attempt += 1
        }
        return false
    }

    private func document(_ item: Item) -> JSON {
        let now = JSON(item.at.rfc3339)
        let name = item.involved["name"]?.string ?? ""
        let nanos = UInt64(clamping: item.at.seconds) &* 1_000_000_000 &+ UInt64(clamping: item.at.nanoseconds)
        let namespace = item.involved["namespace"] ?? "default"
        return [
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["name": JSON("\(name).\(String(nanos, radix: 16))"), "namespace": namespace], "involvedObject": item.involved,
            "reason": JSON(item.note.reason), "message": JSON(String(item.note.message.prefix(1024))), "type": JSON(item.note.type),
            "count": 1, "source": ["component": "kubelet", "host": JSON(node)], "reportingComponent": "kubelet",
            "reportingInstance": JSON(node), "firstTimestamp": now, "lastTimestamp": now, "eventTime": .null,
        ]
    }
}
