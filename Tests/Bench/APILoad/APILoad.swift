// A load for an API server: how fast it creates, gets, lists and tells watchers, over TLS, from several connections.
//
// Usage: apiload KUBECONFIG MODE [CLIENTS] [COUNT]; modes: create, get, list, watch.
internal import ClusterClient
internal import ClusterModel
internal import ClusterWire
internal import Essentials
internal import Glibc
internal import Synchronization

@main struct APILoad {
    static func main() async throws {
        let words = CommandLine.arguments
        guard words.count >= 3 else {
            print("usage: apiload KUBECONFIG create|get|list|watch [CLIENTS] [COUNT]")
            exit(2)
        }
        let configuration = try ClusterConfiguration(kubeconfig: words[1])
        let clients = words.count > 3 ? Int(words[3]) ?? 8 : 8
        let count = words.count > 4 ? Int(words[4]) ?? 8000 : 8000
        let load = Load(configuration: configuration, clients: clients, count: count)
        switch words[2] {
        case "create": try await load.create()
        case "get": try await load.get()
        case "list": try await load.list()
        case "watch": try await load.watch()
        default: exit(2)
        }
    }
}

/// What the clients share.
private final class Shared: Sendable {
    let times = Mutex<[Double]>([])
    let next = Atomic<Int>(0)
    let start = Mutex(0.0)

    /// The times so far, sorted; they begin anew.
    func take() -> [Double] {
        times.withLock { times in
            defer { times = [] }
            return times.sorted()
        }
    }
}

struct Load {
    let configuration: ClusterConfiguration
    let clients: Int
    let count: Int

    private func document(_ index: Int) -> JSON {
        [
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": ["name": JSON("load-\(getpid())-\(index)"), "namespace": "default", "labels": ["app": "load"]],
            "data": ["text": JSON(String(repeating: "x", count: 200))],
        ]
    }

    /// Runs `count` requests over the clients and prints what they took.
    private func measure(_ name: String, _ request: @escaping @Sendable (ClusterClient, Int) async throws -> Void) async throws {
        let shared = Shared()
        let begin = monotonicSeconds()
        let (clients, count, configuration) = (clients, count, configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<clients {
                let client = ClusterClient(transport: try HTTPSTransport(configuration))
                group.addTask {
                    var mine: [Double] = []
                    while true {
                        let index = shared.next.wrappingAdd(1, ordering: .relaxed).oldValue
                        guard index < count else { break }
                        let start = monotonicSeconds()
                        try await request(client, index)
                        mine.append(monotonicSeconds() - start)
                    }
                    shared.times.withLock { $0 += mine }
                }
            }
            try await group.waitForAll()
        }
        let seconds = monotonicSeconds() - begin
        let sorted = shared.take()
        func milliseconds(_ part: Double) -> String {
            String(Int(sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))] * 1_000_000)) + " µs"
        }
        print("\(name): \(Int(Double(count) / seconds))/s from \(clients), p50 \(milliseconds(0.5)), p99 \(milliseconds(0.99))")
    }

    func create() async throws {
        try await measure("create") { client, index in _ = try await client.create(.configMaps, document(index)) }
    }

    func get() async throws {
        let client = ClusterClient(transport: try HTTPSTransport(configuration))
        for index in 0..<100 { _ = try await client.create(.configMaps, document(index)) }
        try await measure("get") { client, index in
            _ = try await client.get(.configMaps, namespace: "default", name: "load-\(getpid())-\(index % 100)")
        }
    }

    func list() async throws {
        let client = ClusterClient(transport: try HTTPSTransport(configuration))
        for _ in 0..<5 {
            let start = monotonicSeconds()
            let response = await client.transport.send(
                APIRequest(method: "GET", path: "/api/v1/namespaces/default/pods", user: client.user))
            guard case .bytes(let bytes) = response.body else { return }
            print("list: \(Int((monotonicSeconds() - start) * 1000)) ms, \(bytes.count) bytes")
        }
    }

    func watch() async throws {
        let shared = Shared()
        let configuration = configuration
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<clients {
                let client = ClusterClient(transport: try HTTPSTransport(configuration))
                group.addTask {
                    for try await event in client.watch(.configMaps, namespace: "default", options: ListOptions(resourceVersion: "")) {
                        guard event.object.metaName.hasPrefix("event-\(getpid())") else { continue }
                        let now = monotonicSeconds()
                        let begin = shared.start.withLock { $0 }
                        shared.times.withLock { $0.append(now - begin) }
                    }
                }
            }
            try await Task.sleep(for: .seconds(3))
            let client = ClusterClient(transport: try HTTPSTransport(configuration))
            for round in 0..<20 {
                shared.start.withLock { $0 = monotonicSeconds() }
                var document = document(round)
                document["metadata"]?["name"] = JSON("event-\(getpid())-\(round)")
                _ = try await client.create(.configMaps, document)
                try await Task.sleep(for: .milliseconds(200))
                let times = shared.take()
                if let last = times.last {
                    print(
                        "watch: \(times.count) of \(clients) heard, the first after \(Int(times[0] * 1e6)) µs, the last after \(Int(last * 1e6)) µs"
                    )
                }
            }
            group.cancelAll()
        }
    }
}
