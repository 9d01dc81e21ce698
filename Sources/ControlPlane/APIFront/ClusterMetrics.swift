// metrics.k8s.io: what nodes and pods use, asked of the kubelets when somebody looks, and not before.
//
// A rate needs two moments. Whoever looks first waits for the second one; from then on the last look is the first moment.
internal import Access
package import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Synchronization
internal import Web

package final class ClusterMetrics: Sendable {
    /// A sample is fresh for so long, and good as the first of two for so long, in seconds.
    private static let freshSeconds = 5.0
    private static let usefulSeconds = 60.0
    /// Between two samples that are taken in one look.
    private static let pauseMilliseconds = 1000
    private static let summaryLimitBytes = 16 << 20

    private struct Sample: Sendable {
        var taken: Double
        var at: Timestamp
        var summary: JSON
    }

    private struct Pair: Sendable {
        var older: Sample
        var newer: Sample
        var seconds: Double { max(0.001, newer.taken - older.taken) }
    }

    private let client: ClusterClient
    private let kubelets: any KubeletSessions
    private let pairs = Mutex<[String: Pair]>([:])

    package init(client: ClusterClient, kubelets: any KubeletSessions) {
        self.client = client
        self.kubelets = kubelets
    }

    /// Answers requests of the group `metrics.k8s.io`.
    func answer(_ attributes: RequestAttributes, labelSelector: String?) async throws(ClusterProblem) -> JSON {
        let options = ListOptions(labelSelector: labelSelector)
        switch (attributes.resource, attributes.verb) {
        case ("nodes", "list"):
            let nodes = try await client.list(.nodes, options: options).items
            let pairs = await samples(of: nodes.map(\.metaName))
            return Self.list("NodeMetricsList", nodes.compactMap { node in pairs[node.metaName].map { Self.node(node, $0) } })
        case ("nodes", "get"):
            let node = try await client.get(.nodes, name: attributes.name)
            guard let pair = await samples(of: [node.metaName])[node.metaName] else {
                throw .notFound(.nodeMetrics, attributes.name)
            }
            return Self.node(node, pair)
        case ("pods", "list"):
            let place = attributes.namespace.isEmpty ? nil : attributes.namespace
            return Self.list("PodMetricsList", await metrics(of: try await client.list(.pods, namespace: place, options: options).items))
        case ("pods", "get"):
            let pod = try await client.get(.pods, namespace: attributes.namespace, name: attributes.name)
            guard let found = await metrics(of: [pod]).first else { throw .notFound(.podMetrics, attributes.name) }
            return found
        default: throw .methodNotAllowed()
        }
    }

    private static func list(_ kind: String, _ items: [JSON]) -> JSON {
        ["kind": JSON(kind), "apiVersion": "metrics.k8s.io/v1beta1", "metadata": .emptyObject, "items": JSON(items)]
    }

    private func metrics(of pods: [JSON]) async -> [JSON] {
        let running = pods.filter { $0["status"]?["phase"] == "Running" }
        let pairs = await samples(of: Array(Set(running.compactMap { $0["spec"]?["nodeName"]?.string })))
        return running.compactMap { pod in
            guard let pair = pairs[pod["spec"]?["nodeName"]?.string ?? ""] else { return nil }
            return Self.pod(pod, pair)
        }
    }

    // MARK: Samples

    private func samples(of nodes: [String]) async -> [String: Pair] {
        await withTaskGroup(of: (String, Pair?).self) { group in
            for node in nodes { group.addTask { [self] in (node, await pair(of: node)) } }
            var found: [String: Pair] = [:]
            for await (node, pair) in group { found[node] = pair }
            return found
        }
    }

    private func pair(of node: String) async -> Pair? {
        let known = pairs.withLock { $0[node] }
        let now = monotonicSeconds()
        if let known, now - known.newer.taken < Self.freshSeconds { return known }
        guard let first = await sample(of: node) else { return nil }
        let pair: Pair
        if let known, now - known.newer.taken < Self.usefulSeconds {
            pair = Pair(older: known.newer, newer: first)
        } else {
            try? await Task.sleep(for: .milliseconds(Self.pauseMilliseconds))
            guard let second = await sample(of: node) else { return nil }
            pair = Pair(older: first, newer: second)
        }
        pairs.withLock { $0[node] = pair }
        return pair
    }

    private func sample(of node: String) async -> Sample? {
        guard let session = try? await kubelets.session(node: node),
            let answer = try? await session.send(HTTPSessionRequest(target: "/stats/summary")), answer.status == 200,
            case .bytes(let bytes) = answer.body, bytes.count < Self.summaryLimitBytes, let summary = try? JSON(parsing: bytes)
        else { return nil }
        return Sample(taken: monotonicSeconds(), at: SystemClock().now(), summary: summary)
    }

    // MARK: Documents

    private static func usage(_ newer: JSON?, _ older: JSON?, _ seconds: Double) -> JSON {
        func nanoseconds(_ part: JSON?) -> Int64 { part?["cpu"]?["usageCoreNanoSeconds"]?.integer ?? 0 }
        let used = older == nil ? 0 : max(0, nanoseconds(newer) - nanoseconds(older))
        let memory = newer?["memory"]?["workingSetBytes"]?.integer ?? 0
        return ["cpu": JSON("\(Int64(Double(used) / seconds))n"), "memory": JSON("\(memory / 1024)Ki")]
    }

    private static func head(_ kind: String, _ object: JSON, _ pair: Pair) -> JSON {
        var metadata: JSON = ["name": JSON(object.metaName), "creationTimestamp": JSON(pair.newer.at.rfc3339)]
        if let namespace = object.metaNamespace { metadata["namespace"] = JSON(namespace) }
        if !object.metaLabels.isEmpty { metadata["labels"] = JSON(object.metaLabels) }
        let milliseconds = Int(pair.seconds * 1000)
        let fraction = String(milliseconds % 1000 + 1000).dropFirst()
        return [
            "kind": JSON(kind), "apiVersion": "metrics.k8s.io/v1beta1", "metadata": metadata, "timestamp": JSON(pair.newer.at.rfc3339),
            "window": JSON("\(milliseconds / 1000).\(fraction)s"),
        ]
    }

    private static func node(_ node: JSON, _ pair: Pair) -> JSON {
        var document = head("NodeMetrics", node, pair)
        document["usage"] = usage(pair.newer.summary["node"], pair.older.summary["node"], pair.seconds)
        return document
    }

    private static func pod(_ pod: JSON, _ pair: Pair) -> JSON? {
        func find(_ sample: Sample) -> JSON? {
            (sample.summary["pods"]?.array ?? []).first { $0["podRef"]?["uid"]?.string == pod.metaUID }
        }
        guard let newer = find(pair.newer) else { return nil }
        let older = find(pair.older)
        let containers = (newer["containers"]?.array ?? []).map { container -> JSON in
            let before = (older?["containers"]?.array ?? []).first { $0["name"] == container["name"] }
            return ["name": container["name"] ?? "", "usage": usage(container, before, pair.seconds)]
        }
        var document = head("PodMetrics", pod, pair)
        document["containers"] = JSON(containers)
        return document
    }
}
