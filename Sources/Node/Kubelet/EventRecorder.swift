// Records what happens to pods as Events, beside the work and never in its way.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Logging

struct EventRecorder: Sendable {
    /// Events that wait to be written; more than this and the newest are dropped.
    static let queueLimit = 1024

    private let stream: AsyncStream<JSON>
    private let input: AsyncStream<JSON>.Continuation
    private let client: ClusterClient
    private let node: String
    private let clock: any WallClock

    init(client: ClusterClient, node: String, clock: any WallClock) {
        (stream, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
        self.client = client
        self.node = node
        self.clock = clock
    }

    func record(_ note: PodNote, about pod: JSON) {
        let now = clock.now()
        input.yield([
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["name": .string("\(pod.metaName).\(Identifier.short(length: 12))"), "namespace": JSON(pod.metaNamespace)],
            "involvedObject": [
                "apiVersion": "v1", "kind": "Pod", "name": .string(pod.metaName), "namespace": JSON(pod.metaNamespace),
                "uid": .string(pod.metaUID),
            ],
            "reason": .string(note.reason), "message": .string(note.message), "type": .string(note.type), "count": 1,
            "source": ["component": "kubelet", "host": .string(node)],
            "reportingComponent": "kubelet", "reportingInstance": .string(node),
            "firstTimestamp": .string(now.rfc3339), "lastTimestamp": .string(now.rfc3339),
        ])
    }

    func run() async {
        for await event in stream {
            do throws(ClusterProblem) { _ = try await client.create(.events, event) } catch {
                // The namespace of a pod that goes takes no new events.
                if !error.isForbidden, !error.isNotFound {
                    Logger(label: "kubelet").warning("event not recorded", metadata: ["cause": "\(error)"])
                }
            }
        }
    }
}
