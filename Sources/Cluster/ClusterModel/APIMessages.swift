// Requests and answers of the Kubernetes API, free of any transport.
package import Essentials

/// Who asks, as authentication found out.
package struct UserInfo: Sendable, Hashable {
    package let name: String
    package let groups: [String]
    package let uid: String
    package let extra: [String: [String]]
    package init(name: String, groups: [String] = [], uid: String = "", extra: [String: [String]] = [:]) {
        self.name = name
        self.groups = groups
        self.uid = uid
        self.extra = extra
    }

    /// Lectern's own components inside the process.
    package static let system = UserInfo(name: "system:lectern", groups: ["system:masters", "system:authenticated"])
    package static let anonymous = UserInfo(name: "system:anonymous", groups: ["system:unauthenticated"])
}

package struct APIRequest: Sendable {
    package var method: String
    /// Still percent-encoded, without the query.
    package var path: String
    /// Decoded.
    package var query: [(String, String)]
    package var headers: [(String, String)]
    package var body: [UInt8]
    /// The body as a document, for callers inside the process; `body` is ignored then.
    package var object: JSON?
    /// Set by callers inside the process that want documents instead of bytes back.
    package var wantsObjects: Bool
    package var user: UserInfo
    /// Someone in front of the server has decided already that the user may do this.
    package var isAuthorized = false

    package init(
        method: String, path: String, query: [(String, String)] = [], headers: [(String, String)] = [], body: [UInt8] = [],
        object: JSON? = nil, wantsObjects: Bool = false, user: UserInfo
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.object = object
        self.wantsObjects = wantsObjects
        self.user = user
    }

    package func queryValue(_ name: String) -> String? { query.first { $0.0 == name }?.1 }

    package func header(_ name: String) -> String? {
        let wanted = name.lowercased()
        return headers.first { $0.0.lowercased() == wanted }?.1
    }
}

package struct APIResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Chunks until the stream ends, such as a watch or a followed log. Cancel by dropping the iteration.
        case stream(AsyncStream<[UInt8]>)
        /// Only where the request says `wantsObjects`.
        case object(JSON)
        /// Only where the request says `wantsObjects`: the events of a watch; a failure is the last of them.
        case events(AsyncStream<Result<WatchEvent, ClusterProblem>>)
    }

    package var status: Int
    package var headers: [(String, String)]
    package var body: Body

    package init(status: Int, headers: [(String, String)] = [], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Carries requests to an API server: in the process, or over the network.
package protocol ClusterTransport: Sendable {
    func send(_ request: APIRequest) async -> APIResponse
}

/// One line of a watch.
package struct WatchEvent: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
    }
    package var kind: Kind
    package var object: JSON
    package init(kind: Kind, object: JSON) {
        self.kind = kind
        self.object = object
    }
}

/// Which part of a container's log is wanted, as `kubectl logs` says it.
package struct PodLogOptions: Sendable, Equatable {
    package var container: String?
    package var follow = false
    package var previous = false
    package var timestamps = false
    package var tailLines: Int?
    package var sinceSeconds: Int?
    package var sinceTime: Timestamp?
    package var limitBytes: Int?
    package init() {}
}

/// What an API server asks a node about its pods. The kubelet implements it.
package protocol NodeProxy: Sendable {
    /// The log of one container of `pod`, as `.bytes` or, where it is followed, as a `.stream`.
    func logs(of pod: JSON, _ options: PodLogOptions) async throws(ClusterProblem) -> APIResponse.Body
}
