// An API server over a store in memory, and short ways to speak to it.
import APIServer
import ClusterClient
import ClusterModel
import ClusterStore
import Database
import Essentials
import Testing

struct Harness {
    typealias Answer = (status: Int, document: JSON, headers: [(String, String)])

    let store: ClusterStore
    let server: APIServer
    let client: ClusterClient
    let clock = ManualClock()

    init(path: String = ":memory:", schema: Schema = .host, tracksFields: Bool = false, admission: AdmissionSettings? = nil) async throws {
        store = try ClusterStore(path: path, durability: .processDeath)
        server = APIServer(store: store, schema: schema, clock: clock, tracksFields: tracksFields, admission: admission)
        client = ClusterClient(transport: server)
        for name in ["default"] { _ = try await client.create(.namespaces, ["metadata": ["name": JSON(name)]]) }
    }

    /// Sends a request as kubectl would, in bytes.
    func send(
        _ method: String, _ path: String, query: [(String, String)] = [], accept: String = "application/json",
        type: String = "application/json", agent: String = "tests",
        _ body: String = "", user: UserInfo = .system
    ) async -> (status: Int, document: JSON, headers: [(String, String)]) {
        let response = await server.send(
            APIRequest(
                method: method, path: path, query: query, headers: [("Accept", accept), ("Content-Type", type), ("User-Agent", agent)],
                body: Array(body.utf8),
                user: user))
        guard case .bytes(let bytes) = response.body else { return (response.status, .null, response.headers) }
        return (response.status, (try? JSON(parsing: bytes)) ?? .null, response.headers)
    }

    static func pod(_ name: String, namespace: String = "default", labels: [String: String] = [:], image: String = "alpine:3") -> JSON {
        [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": JSON(name), "namespace": JSON(namespace), "labels": JSON(labels)],
            "spec": ["containers": [["name": "main", "image": JSON(image)]]],
        ]
    }
}
