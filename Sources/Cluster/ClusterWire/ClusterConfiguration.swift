// How to reach an API server over the network: where it is, whom to trust, and how to say who one is.
//
// May touch: the files that a kubeconfig names, and sockets through Web. Callers: the programs of a lab's nodes.
internal import Essentials
internal import Crypto
internal import Glibc
internal import Yaml

/// A PEM text, or the file that has it now.
package enum ClusterSecret: Sendable, Hashable {
    case text(String)
    case file(String)
}

package struct ClusterConfiguration: Sendable, Hashable {
    /// `https://HOST:PORT`
    package var server: String
    package var authority: ClusterSecret?
    package var certificate: ClusterSecret?
    package var key: ClusterSecret?
    package var token: ClusterSecret?
    /// Any certificate of the server is taken.
    package var isInsecure = false
    /// The name in the server's certificate, where it is not the host's.
    package var serverName: String?
    /// The namespace of the context.
    package var namespace: String?
    /// What the server's log and `managedFields` call this program: `NAME/VERSION`.
    package var userAgent = "lectern/v1.32.0"

    package init(
        server: String, authority: ClusterSecret? = nil, certificate: ClusterSecret? = nil, key: ClusterSecret? = nil,
        token: ClusterSecret? = nil, isInsecure: Bool = false
    ) {
        self.server = server
        self.authority = authority
        self.certificate = certificate
        self.key = key
        self.token = token
        self.isInsecure = isInsecure
    }

    /// Reads a kubeconfig file: its current context.
    package init(kubeconfig path: String) throws(WireProblem) {
        guard let bytes = WireFile.read(path) else { throw .unreadable(file: path, cause: WireFile.lastError) }
        let folder = path.contains("/") ? String(path.prefix(upTo: path.lastIndex(of: "/")!)) : "."
        try self.init(kubeconfigText: String(decoding: bytes, as: UTF8.self), name: path, folder: folder.isEmpty ? "/" : folder)
    }

    /// `folder` is where relative paths in it begin.
    package init(kubeconfigText text: String, name: String = "kubeconfig", folder: String = ".", context: String? = nil) throws(WireProblem)
    {
        let document: JSON
        do throws(YAMLProblem) { document = try YAML.document(Array(text.utf8)) } catch {
            throw .malformed(file: name, detail: error.message)
        }
        func entry(_ list: String, _ key: String, named wanted: String) throws(WireProblem) -> JSON {
            guard let found = document[list]?.array?.first(where: { $0["name"]?.string == wanted }), let value = found[key] else {
                throw .malformed(file: name, detail: "it has no \(key) \"\(wanted)\"")
            }
            return value
        }
        let current = context ?? document["current-context"]?.string ?? ""
        guard !current.isEmpty else { throw .malformed(file: name, detail: "it has no current-context") }
        let context = try entry("contexts", "context", named: current)
        let cluster = try entry("clusters", "cluster", named: context["cluster"]?.string ?? "")
        let user = context["user"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        let identity = user == nil ? JSON.emptyObject : try entry("users", "user", named: user ?? "")
        guard let server = cluster["server"]?.string, !server.isEmpty else {
            throw .malformed(file: name, detail: "its cluster names no server")
        }
        func secret(_ part: JSON, _ key: String) throws(WireProblem) -> ClusterSecret? {
            if let data = part[key + "-data"]?.string, !data.isEmpty {
                guard let bytes = Base64.decode(data) else { throw .malformed(file: name, detail: "\(key)-data is not base64") }
                return .text(String(decoding: bytes, as: UTF8.self))
            }
            guard let path = part[key]?.string, !path.isEmpty else { return nil }
            return .file(path.hasPrefix("/") ? path : folder + "/" + path)
        }
        self.init(
            server: server, authority: try secret(cluster, "certificate-authority"),
            certificate: try secret(identity, "client-certificate"),
            key: try secret(identity, "client-key"), isInsecure: cluster["insecure-skip-tls-verify"]?.bool ?? false)
        if let path = identity["tokenFile"]?.string, !path.isEmpty {
            token = .file(path.hasPrefix("/") ? path : folder + "/" + path)
        } else if let text = identity["token"]?.string, !text.isEmpty {
            token = .text(text)
        }
        serverName = cluster["tls-server-name"]?.string
        namespace = context["namespace"]?.string
    }

    /// What a pod has: its service account's token, and the server's address in the environment.
    package static func inCluster(
        folder: String = "/var/run/secrets/kubernetes.io/serviceaccount"
    ) throws(WireProblem) -> ClusterConfiguration {
        guard let host = getenv("KUBERNETES_SERVICE_HOST").map({ String(cString: $0) }), !host.isEmpty,
            let port = getenv("KUBERNETES_SERVICE_PORT").map({ String(cString: $0) }), !port.isEmpty
        else { throw .notInCluster }
        var configuration = ClusterConfiguration(
            server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)", authority: .file(folder + "/ca.crt"),
            token: .file(folder + "/token"))
        configuration.namespace = WireFile.read(folder + "/namespace").map { String(decoding: $0, as: UTF8.self) }
        return configuration
    }
}

/// What keeps a configuration from being used.
package enum WireProblem: Problem, Equatable {
    case unreadable(file: String, cause: String)
    case malformed(file: String, detail: String)
    case notInCluster
    case badServer(String)
    case badCertificate(detail: String)

    package var reason: String {
        switch self {
        case .unreadable: "ConfigurationUnreadable"
        case .malformed: "ConfigurationMalformed"
        case .notInCluster: "NotInCluster"
        case .badServer: "ServerAddressInvalid"
        case .badCertificate: "CertificateUnusable"
        }
    }

    package var message: String {
        switch self {
        case .unreadable(let file, let cause): "The file \(file) cannot be read: \(cause)."
        case .malformed(let file, let detail): "The kubeconfig \(file) cannot be used: \(detail)."
        case .notInCluster:
            "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined"
        case .badServer(let server): "The server address \"\(server)\" is not of the form https://HOST:PORT."
        case .badCertificate(let detail): "The certificates of the configuration cannot be used: \(detail)."
        }
    }
}

/// Small files: certificates, tokens, configurations.
enum WireFile {
    /// No such file is larger.
    static let limitBytes = 1 << 20

    static var lastError: String { String(cString: strerror(errno)) }

    static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < limitBytes {
            let count = fread(&part, 1, part.count, file)
            if count == 0 { break }
            bytes.append(contentsOf: part[..<count])
        }
        return ferror(file) == 0 ? bytes : nil
    }

    /// Tells one state of a file from another.
    struct Mark: Equatable, Sendable {
        var inode: UInt64 = 0
        var size: Int64 = 0
        var seconds = 0
        var nanoseconds = 0

        init(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return }
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }
}
