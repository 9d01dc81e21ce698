// What kinds the API server serves, as its discovery documents tell; read again when custom kinds come or go.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Synchronization

/// One resource that can be listed and deleted.
struct ServedResource: Sendable, Hashable {
    let resource: GroupVersionResource
    let kind: String
    let isNamespaced: Bool
    let verbs: Set<String>
}

final class ClusterDiscovery: Sendable {
    private let client: ClusterClient
    private let known = Mutex<[ServedResource]?>(nil)

    init(client: ClusterClient) { self.client = client }

    /// Forgets what was read, so that the next question is asked anew.
    func invalidate() { known.withLock { $0 = nil } }

    /// Every resource, in all versions, preferred versions first.
    func resources() async throws(ClusterProblem) -> [ServedResource] {
        if let known = known.withLock({ $0 }) { return known }
        var found: [ServedResource] = []
        for path in ["/api", "/apis"] {
            let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
            let answer = try await client.document(
                APIRequest(method: "GET", path: path, headers: [("accept", accept)], user: client.user))
            found += Self.parse(answer)
        }
        known.withLock { $0 = found }
        return found
    }

    static func parse(_ document: JSON) -> [ServedResource] {
        var found: [ServedResource] = []
        for group in document["items"]?.array ?? [] {
            let name = group["metadata"]?["name"]?.string ?? ""
            for version in group["versions"]?.array ?? [] {
                for resource in version["resources"]?.array ?? [] {
                    guard let plural = resource["resource"]?.string, let kind = resource["responseKind"]?["kind"]?.string else { continue }
                    found.append(
                        ServedResource(
                            resource: GroupVersionResource(group: name, version: version["version"]?.string ?? "", resource: plural),
                            kind: kind, isNamespaced: resource["scope"]?.string == "Namespaced",
                            verbs: Set((resource["verbs"]?.array ?? []).compactMap(\.string))))
                }
            }
        }
        return found
    }

    /// Groups whose objects are those of another group under an older name, or no stored objects at all.
    private static let shadowGroups: Set<String> = ["extensions", "metrics.k8s.io", "events.k8s.io"]

    /// Each kind of stored object once, in its preferred version, without events.
    func stored() async throws(ClusterProblem) -> [ServedResource] {
        var seen: Set<String> = []
        return try await resources().filter { served in
            guard served.verbs.isSuperset(of: ["list", "watch", "delete"]), !Self.shadowGroups.contains(served.resource.group),
                served.resource != .events
            else { return false }
            return seen.insert(served.resource.group + "/" + served.resource.resource).inserted
        }
    }

    /// The resource of an owner reference; asks the server again where it is not known.
    func resource(apiVersion: String, kind: String) async throws(ClusterProblem) -> ServedResource? {
        func find(_ list: [ServedResource]) -> ServedResource? {
            list.first { $0.kind == kind && $0.resource.apiVersion == apiVersion }
        }
        if let served = find(try await resources()) { return served }
        invalidate()
        return find(try await resources())
    }
}
