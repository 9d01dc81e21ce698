// Metadata of one kind of object, listed and watched without keeping the objects: for kinds that only the collector looks at.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Logging

enum MetadataChange: Sendable {
    case set(JSON)
    case gone(String)
    case listed
}

struct MetadataFeed: Sendable {
    private static let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
    private static let object = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
    /// Objects in one page of a list.
    private static let pageObjects = 500

    let client: ClusterClient
    let resource: GroupVersionResource

    /// Tells of all there is, then of every change, until cancelled or the kind is gone.
    func run(_ tell: @Sendable (MetadataChange) -> Void) async throws {
        var known: Set<String> = []
        var failures = 0
        while true {
            do {
                let version = try await read(&known, tell)
                failures = 0
                try await follow(from: version, &known, tell)
            } catch {
                try Task.checkCancellation()
                if let problem = error as? ClusterProblem, problem.code == 404 || problem.code == 405 {
                    for uid in known { tell(.gone(uid)) }
                    tell(.listed)
                    return
                }
                if !((error as? ClusterProblem)?.isExpired ?? false) {
                    let pause = Informer.retryMilliseconds[min(failures, Informer.retryMilliseconds.count - 1)]
                    try await Task.sleep(for: .milliseconds(pause))
                    failures += 1
                }
            }
        }
    }

    private func read(_ known: inout Set<String>, _ tell: @Sendable (MetadataChange) -> Void) async throws -> String {
        var token: String?
        var fresh: Set<String> = []
        var version = ""
        repeat {
            var query = [("limit", String(Self.pageObjects))]
            if let token { query.append(("continue", token)) }
            let answer = try await client.document(
                APIRequest(method: "GET", path: resource.path(), query: query, headers: [("accept", Self.list)], user: client.user))
            for item in answer["items"]?.array ?? [] {
                fresh.insert(item.metaUID)
                tell(.set(item))
            }
            version = answer["metadata"]?["resourceVersion"]?.string ?? version
            token = answer["metadata"]?["continue"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        } while token != nil
        for uid in known.subtracting(fresh) { tell(.gone(uid)) }
        known = fresh
        tell(.listed)
        return version
    }

    private func follow(from start: String, _ known: inout Set<String>, _ tell: @Sendable (MetadataChange) -> Void) async throws {
        var version = start
        while !Task.isCancelled {
            let request = APIRequest(
                method: "GET", path: resource.path(),
                query: [("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", version)],
                headers: [("accept", Self.object)], wantsObjects: true, user: client.user)
            for try await event in client.watch(request) {
                version = event.object.metaResourceVersion.isEmpty ? version : event.object.metaResourceVersion
                switch event.kind {
                case .added, .modified:
                    known.insert(event.object.metaUID)
                    tell(.set(event.object))
                case .deleted:
                    known.remove(event.object.metaUID)
                    tell(.gone(event.object.metaUID))
                case .bookmark: break
                }
            }
        }
        try Task.checkCancellation()
    }
}
