// Writes Events beside the work they tell of, never in its way.
internal import ClusterModel
package import Essentials
internal import Logging

package struct EventWriter: Sendable {
    /// Events that wait to be written; more than this and the newest are dropped.
    static let queueLimitEvents = 1024

    private let stream: AsyncStream<JSON>
    private let input: AsyncStream<JSON>.Continuation
    private let client: ClusterClient
    private let component: String
    private let clock: any WallClock

    package init(client: ClusterClient, component: String, clock: any WallClock) {
        (stream, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimitEvents))
        self.client = client
        self.component = component
        self.clock = clock
    }

    /// `type` is `Normal` or `Warning`.
    package func record(_ type: String, _ reason: String, _ message: String, about object: JSON) {
        let now = JSON(clock.now().rfc3339)
        var involved: JSON = [
            "kind": object["kind"] ?? "", "apiVersion": object["apiVersion"] ?? "v1", "name": JSON(object.metaName),
            "uid": JSON(object.metaUID),
            "resourceVersion": JSON(object.metaResourceVersion),
        ]
        involved["namespace"] = object.metaNamespace.map { JSON($0) }
        let namespace = object.metaNamespace ?? "default"
        input.yield([
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["name": JSON("\(object.metaName).\(Identifier.short(length: 16))"), "namespace": JSON(namespace)],
            "involvedObject": involved, "reason": JSON(reason), "message": JSON(message), "type": JSON(type), "count": 1,
            "source": ["component": JSON(component)], "reportingComponent": JSON(component), "firstTimestamp": now, "lastTimestamp": now,
        ])
    }

    /// Writes until cancelled.
    package func run() async throws {
        var memory = EventMemory()
        for await event in stream {
            do throws(ClusterProblem) { try await write(event, &memory) } catch {
                // A namespace that is going takes no new events.
                if !error.isForbidden, !error.isNotFound {
                    Logger(label: "events").warning("event not written", metadata: ["cause": "\(error)"])
                }
            }
        }
        try Task.checkCancellation()
    }

    private func write(_ event: JSON, _ memory: inout EventMemory) async throws(ClusterProblem) {
        switch memory.decide(event, at: monotonicSeconds()) {
        case .drop: return
        case .create(let event): _ = try await client.create(.events, event)
        case .raise(let name, let namespace, let change):
            do throws(ClusterProblem) {
                _ = try await client.patch(.events, namespace: namespace, name: name, .merge, change)
            } catch {
                guard error.isNotFound else { throw error }
                // Its hour is over.
                memory.forget(name)
                if case .create(let event) = memory.decide(event, at: monotonicSeconds()) { _ = try await client.create(.events, event) }
            }
        }
    }
}
