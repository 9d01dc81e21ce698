// Tells pods whose scheduling is gated that they wait for that.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct Gatekeeper: Sendable {
    /// Pods that wait to be told; more than this and the newest are left out.
    private static let queueLimitPods = 1_024

    private let client: ClusterClient
    private let clock: any WallClock
    private let pods: AsyncStream<JSON>
    private let input: AsyncStream<JSON>.Continuation

    init(client: ClusterClient, clock: any WallClock) {
        self.client = client
        self.clock = clock
        (pods, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimitPods))
    }

    func add(_ pod: JSON) { input.yield(pod) }

    func run() async throws {
        for await pod in pods {
            let condition: JSON = [
                "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates", "lastProbeTime": .null,
                "lastTransitionTime": JSON(clock.now().rfc3339),
            ]
            _ = try? await client.patch(
                .pods, namespace: pod.metaNamespace, name: pod.metaName, .strategic, ["status": ["conditions": [condition]]],
                subresource: "status")
        }
        try Task.checkCancellation()
    }
}
