// The Kubernetes API as a function from requests to answers; sockets and TLS are someone else's.
//
// May touch: its store, and nodes through `NodeProxy`. Callers: the in-process `ClusterClient`, and the program that maps
// HTTP requests. A request goes: route → authorize → verb (read, write, delete, watch) → rendering. All kinds take the same
// way; what differs between them stands in the schema table.
package import ClusterModel
package import ClusterStore
package import Essentials
internal import Logging
internal import Synchronization

package struct APIServer: ClusterTransport {
    let store: ClusterStore
    let schemas: SchemaBox
    /// The kinds of now; custom ones come and go.
    package var schema: Schema { schemas.schema }
    let clock: any WallClock
    let logger: Logger
    let quota: QuotaAdmission
    /// What a lab's cluster decides about objects; `nil` on the host.
    let admission: AdmissionSettings?
    let promises = ServicePromises()
    /// Whether objects remember who wrote which field (`managedFields`); server-side apply needs it.
    let tracksFields: Bool
    /// The nodes' own servers; kubelets enter themselves here.
    package let nodes: NodeProxies

    /// How long a watch lasts that names no timeout, in seconds; spread by up to twice.
    static let watchSeconds = 1800
    /// How often a watch that wants bookmarks gets one, in seconds.
    static let bookmarkSeconds = 60
    /// How often a write is tried again when others were faster.
    static let conflictAttempts = 10

    package init(
        store: ClusterStore, schema: Schema = .host, clock: any WallClock = SystemClock(), tracksFields: Bool = false,
        admission: AdmissionSettings? = nil
    ) {
        self.admission = admission
        self.tracksFields = tracksFields
        self.store = store
        schemas = SchemaBox(schema)
        self.clock = clock
        logger = Logger(label: "lectern.apiserver")
        quota = QuotaAdmission()
        nodes = NodeProxies()
    }

    package func send(_ request: APIRequest) async -> APIResponse {
        do throws(ClusterProblem) {
            return try await answer(request)
        } catch {
            if error.code >= 500 { logger.error("A request failed", metadata: ["path": "\(request.path)", "problem": "\(error.message)"]) }
            return respond(error, to: request)
        }
    }

    private func answer(_ request: APIRequest) async throws(ClusterProblem) -> APIResponse {
        switch try Route(request, schema: schema) {
        case .health(let name): return health(name, request)
        case .bundle: return try watchBundle(request)
        case .document(let document):
            try Authorization.checkPath(request)
            if document == .openAPI2, OpenAPIProtobuf.isWanted(request.header("accept")) {
                let bytes = OpenAPIProtobuf.encode(try self.document(document, request))
                return APIResponse(status: 200, headers: [("content-type", OpenAPIProtobuf.contentType)], body: .bytes(bytes))
            }
            var response = respond(try self.document(document, request), status: 200, to: request)
            response.headers[0].1 = Self.contentType(of: document, request)
            return response
        case .resource(let target):
            try Authorization.check(request, Self.verb(request, target), target)
            var response = try await serve(request, target)
            if let warning = target.kind.deprecation { response.headers.append(("warning", "299 - " + Self.quoted(warning))) }
            return response
        }
    }

    static func verb(_ request: APIRequest, _ target: ResourceTarget) -> String {
        switch request.method {
        case "GET", "HEAD":
            if ["true", "1"].contains(request.queryValue("watch") ?? "") { return "watch" }
            return target.name == nil ? "list" : "get"
        case "POST": return "create"
        case "PUT": return "update"
        case "PATCH": return "patch"
        case "DELETE": return target.name == nil ? "deletecollection" : "delete"
        default: return request.method.lowercased()
        }
    }

    private func serve(_ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        if let subresource = target.subresource, subresource != "status" { return try await serve(subresource, request, target) }
        let verb = Self.verb(request, target)
        if target.kind.name == "Binding", verb == "create" { return try await bind(request, try pod(of: request, target)) }
        if target.kind.resource == .componentStatuses, ["get", "list"].contains(verb) { return try componentStatuses(request, target) }
        guard target.kind.isStored, target.kind.verbs.contains(verb) else { throw .methodNotAllowed() }
        if target.subresource == "status" {
            guard target.kind.hasStatus, ["get", "update", "patch"].contains(verb) else {
                throw target.kind.hasStatus ? .methodNotAllowed() : .noSuchPath
            }
        }
        switch verb {
        case "get": return try get(request, target)
        case "list": return try list(request, target)
        case "watch": return try watch(request, target)
        case "create":
            guard target.name == nil else { throw .methodNotAllowed() }
            return try await create(request, target)
        case "update":
            guard target.name != nil else { throw .methodNotAllowed() }
            return try await update(request, target)
        case "patch":
            guard target.name != nil else { throw .methodNotAllowed() }
            return try await patch(request, target)
        case "delete": return try await delete(request, target)
        case "deletecollection": return try await deleteCollection(request, target)
        default: throw .methodNotAllowed()
        }
    }

    private func serve(_ subresource: String, _ request: APIRequest, _ target: ResourceTarget) async throws(ClusterProblem) -> APIResponse {
        switch (target.kind.name, subresource, request.method) {
        case ("Pod", "log", "GET"): return try await logs(request, target)
        case ("Pod", "binding", "POST"): return try await bind(request, target)
        case ("Pod", "eviction", "POST"): return try await evict(request, target)
        case ("Pod", "ephemeralcontainers", _): return try await addEphemeralContainers(request, target)
        case ("Pod", "resize", _): return try await resize(request, target)
        case ("CertificateSigningRequest", "approval", _): return try await approve(request, target)
        case (_, "scale", _) where target.kind.subresources.contains { $0.name == "scale" }:
            return try await scale(request, target, schemas.scale(of: target.resource))
        case ("Namespace", "finalize", "PUT"): return try await finalize(request, target)
        default:
            throw target.kind.subresources.contains { $0.name == subresource } ? .methodNotAllowed() : .noSuchPath
        }
    }

    private func health(_ name: String, _ request: APIRequest) -> APIResponse {
        var isHealthy = true
        if name == "readyz" { do throws(StoreProblem) { try store.check() } catch { isHealthy = false } }
        let text = isHealthy ? "ok" : "[-]store failed: the store cannot be written\n\(name) check failed\n"
        return APIResponse(
            status: isHealthy ? 200 : 500,
            headers: [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-cache, private")],
            body: .bytes(Array(text.utf8)))
    }
}

/// The nodes that can be asked about their pods.
package final class NodeProxies: Sendable {
    private let proxies = Mutex<[String: any NodeProxy]>([:])
    private let others = Mutex<(any NodeProxy)?>(nil)
    /// Answers for every node that has not entered itself: over the network.
    package func serveOthers(_ proxy: any NodeProxy) { others.withLock { $0 = proxy } }
    package func register(_ node: String, _ proxy: any NodeProxy) { proxies.withLock { $0[node] = proxy } }
    package func remove(_ node: String) { _ = proxies.withLock { $0.removeValue(forKey: node) } }
    func proxy(of node: String) -> (any NodeProxy)? { proxies.withLock { $0[node] } ?? others.withLock { $0 } }
}

extension ClusterProblem {
    /// What the store could not do, as the API says it.
    init(_ problem: StoreProblem, _ resource: GroupVersionResource, _ name: String) {
        switch problem {
        case .exists: self = .alreadyExists(resource, name)
        case .missing: self = .notFound(resource, name)
        case .changed: self = .conflict(resource, name)
        case .compacted(let oldest): self = .expired("too old resource version: the oldest version available is \(oldest)")
        case .future(let current):
            self = ClusterProblem(
                code: 504, reason: "Timeout", message: "Too large resource version: the current one is \(current)",
                causes: [FieldCause(reason: "ResourceVersionTooLarge", field: "", message: "Too large resource version")],
                retryAfterSeconds: 1)
        case .overloaded: self = .tooManyRequests(problem.message)
        case .tooLarge:
            self = ClusterProblem(
                code: 413, reason: "RequestEntityTooLarge", message: "Request entity too large: limit is \(ClusterStore.objectLimitBytes)")
        case .database, .noSpace: self = problem.isFull ? .unavailable(problem.message) : .internalError(problem.message)
        case .unreachable: self = ClusterProblem(code: 504, reason: "Timeout", message: problem.message, retryAfterSeconds: 1)
        case .refused: self = .internalError(problem.message)
        }
    }
}
