// exec, attach and port-forward: from whatever form the client speaks to the one that kubelets speak.
//
// Clients come with WebSockets (kubectl from 1.31, the Python client) or SPDY (kubectl up to 1.30); port-forward of newer
// ones is SPDY inside a WebSocket. Who asks and whether they may is decided before; the pod is known.
package import ClusterModel
internal import ClusterWire
package import Essentials
package import Web

/// The kubelets of a cluster, by the names of their nodes.
package protocol KubeletSessions: Sendable {
    func session(node: String) async throws(ClusterProblem) -> HTTPSession
}

package struct PodStreams: Sendable {
    private let kubelets: any KubeletSessions

    package init(kubelets: any KubeletSessions) { self.kubelets = kubelets }

    /// `subresource` is exec, attach or portforward of `pod`.
    package func upgrade(_ request: HTTPRequest, pod: JSON, subresource: String) async -> WireUpgrade {
        do throws(ClusterProblem) {
            guard let node = pod["spec"]?["nodeName"]?.string, !node.isEmpty else {
                throw .badRequest("pod \(pod.metaName) does not have a host assigned")
            }
            let kubelet = try await kubelets.session(node: node)
            return try await subresource == "portforward"
                ? forward(request, pod, kubelet) : run(request, pod, kubelet, subresource)
        } catch {
            return .refuse(
                HTTPResponse(
                    status: error.code, headers: HTTPHeaders([("content-type", "application/json")]), body: .bytes(error.status.bytes)))
        }
    }

    // MARK: exec and attach

    private func run(
        _ request: HTTPRequest, _ pod: JSON, _ kubelet: HTTPSession, _ subresource: String
    ) async throws(ClusterProblem) -> WireUpgrade {
        let options = try StreamOptions(request, pod, isExec: subresource == "exec")
        let form = try ClientForm.choose(request)
        let relay = await ExecRelay(form: form, options: options)
        let target =
            "/\(subresource)/\(pod.metaNamespace ?? "")/\(pod.metaName)/\(options.container)?" + options.query(with: request)
        let answer: HTTPSessionAnswer
        do throws(WebProblem) {
            answer = try await kubelet.upgrade(Self.asking(target, StreamFrameReader.upgrade)) { connection in
                relay.attach(node: connection)
            }
        } catch {
            throw .internalError("error dialing backend: \(error.message)")
        }
        guard answer.status == 101 else { throw Self.problem(answer) }
        return .accept(form.headers(for: request)) { connection in relay.attach(client: connection) }
    }

    static func asking(_ target: String, _ word: String) -> HTTPSessionRequest {
        HTTPSessionRequest(method: "GET", target: target, headers: [("connection", "upgrade"), ("upgrade", word)])
    }

    static func problem(_ answer: HTTPSessionAnswer) -> ClusterProblem {
        var text = ""
        if case .bytes(let bytes) = answer.body { text = String(decoding: bytes, as: UTF8.self) }
        while text.last?.isWhitespace ?? false { text.removeLast() }
        if answer.status == 404 { return ClusterProblem(code: 404, reason: "NotFound", message: text) }
        return answer.status == 400 ? .badRequest(text) : .internalError(text)
    }

    // MARK: port-forward

    private func forward(_ request: HTTPRequest, _ pod: JSON, _ kubelet: HTTPSession) async throws(ClusterProblem) -> WireUpgrade {
        let place = "/portForward/\(pod.metaNamespace ?? "")/\(pod.metaName)?port="
        let form = try ClientForm.choose(request, forPorts: true)
        if case .webSocket(let version, let isBase64) = form, version != ClientForm.tunnel {
            let ports = request.query.filter { $0.0 == "ports" }.flatMap { $0.1.split(separator: ",") }.compactMap { UInt16($0) }
            guard !ports.isEmpty else { throw .badRequest("query parameter \"port\" is required") }
            let relay = await ChannelForwardRelay(ports: ports, isBase64: isBase64, kubelet: kubelet, place: place)
            return .accept(form.headers(for: request)) { connection in relay.attach(connection) }
        }
        let relay = await ForwardRelay(isTunnelled: form.isWebSocket, kubelet: kubelet, place: place)
        return .accept(form.headers(for: request)) { connection in relay.attach(connection) }
    }
}

/// What a client wants of exec or attach.
struct StreamOptions: Sendable {
    let container: String
    let stdin: Bool
    let stdout: Bool
    let stderr: Bool
    let tty: Bool
    private let isExec: Bool

    init(_ request: HTTPRequest, _ pod: JSON, isExec: Bool) throws(ClusterProblem) {
        func flag(_ name: String) -> Bool { ["true", "1"].contains(request.queryValue(name) ?? "") }
        self.isExec = isExec
        tty = flag("tty")
        stdin = flag("stdin")
        stdout = flag("stdout")
        stderr = flag("stderr") && !tty
        guard stdin || stdout || stderr else { throw .badRequest("you must specify at least one of stdin, stdout, stderr") }
        if isExec, !request.query.contains(where: { $0.0 == "command" }) {
            throw .badRequest("you must specify at least 1 command for the container")
        }
        let names = ["containers", "initContainers", "ephemeralContainers"].flatMap { pod["spec"]?[$0]?.array ?? [] }
            .compactMap { $0["name"]?.string }
        let wanted = request.queryValue("container") ?? ""
        if wanted.isEmpty {
            let usual = pod.metaAnnotations["kubectl.kubernetes.io/default-container"]
            container = usual ?? pod["spec"]?["containers"]?[0]?["name"]?.string ?? ""
        } else {
            guard names.contains(wanted) else { throw .badRequest("container \(wanted) is not valid for pod \(pod.metaName)") }
            container = wanted
        }
        let phase = pod["status"]?["phase"]?.string
        if phase == "Succeeded" || phase == "Failed" {
            throw .badRequest(
                "cannot \(isExec ? "exec into" : "attach to") a container in a completed pod; current phase is \(phase ?? "")")
        }
    }

    /// The query as the kubelet gets it: only what it knows.
    func query(with request: HTTPRequest) -> String {
        var parts = ["stdin=\(stdin)", "stdout=\(stdout)", "stderr=\(stderr)", "tty=\(tty)"]
        if isExec { parts += request.query.filter { $0.0 == "command" }.map { "command=" + PathText.escape($0.1) } }
        return parts.joined(separator: "&")
    }
}

/// How a client speaks.
enum ClientForm: Sendable, Equatable {
    static let tunnel = "SPDY/3.1+portforward.k8s.io"

    case webSocket(version: String, isBase64: Bool)
    case spdy(version: String)

    var isWebSocket: Bool { if case .webSocket = self { true } else { false } }

    /// Channels' own ends are told since version 5.
    var endsChannels: Bool {
        switch self {
        case .webSocket(let version, _): version.hasPrefix("v5")
        case .spdy: true
        }
    }

    /// Before version 4 the outcome is plain text.
    var hasStatus: Bool {
        switch self {
        case .webSocket(let version, _), .spdy(let version): version.hasPrefix("v4") || version.hasPrefix("v5")
        }
    }

    static func choose(_ request: HTTPRequest, forPorts: Bool = false) throws(ClusterProblem) -> ClientForm {
        let word = (request.headers["upgrade"] ?? "").lowercased()
        func list(_ name: String) -> [String] {
            request.headers.all(name).flatMap { $0.split(separator: ",") }.map { String($0.filter { $0 != " " }) }
        }
        if word == "websocket" {
            let known =
                forPorts
                ? [tunnel, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"]
                : ["v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io"]
            let offered = list("sec-websocket-protocol")
            if offered.isEmpty { return .webSocket(version: "", isBase64: false) }
            guard let version = offered.first(where: known.contains) else {
                throw .badRequest("unable to upgrade: none of the offered subprotocols is known: \(offered.joined(separator: ", "))")
            }
            return .webSocket(version: version, isBase64: version.contains("base64"))
        }
        guard word == "spdy/3.1" else { throw .badRequest("unable to upgrade: unknown protocol \"\(word)\"") }
        let offered = list("x-stream-protocol-version")
        if forPorts { return .spdy(version: "portforward.k8s.io") }
        for version in ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"] where offered.contains(version) {
            return .spdy(version: version)
        }
        guard offered.isEmpty else {
            throw ClusterProblem(
                code: 403, reason: "Forbidden",
                message: "unable to upgrade: unable to negotiate protocol: client supports [\(offered.joined(separator: " "))]")
        }
        return .spdy(version: "")
    }

    func headers(for request: HTTPRequest) -> HTTPHeaders {
        switch self {
        case .webSocket(let version, _):
            var headers = HTTPHeaders([
                ("connection", "Upgrade"), ("upgrade", "websocket"),
                ("sec-websocket-accept", WebSocketCodec.accept(request.headers["sec-websocket-key"] ?? "")),
            ])
            if !version.isEmpty { headers["sec-websocket-protocol"] = version }
            return headers
        case .spdy(let version):
            var headers = HTTPHeaders([("connection", "Upgrade"), ("upgrade", "SPDY/3.1")])
            if !version.isEmpty { headers["x-stream-protocol-version"] = version }
            return headers
        }
    }
}
