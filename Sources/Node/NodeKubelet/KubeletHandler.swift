// What the kubelet's server answers: pods, logs, health and figures; who may ask comes first.
internal import ClusterClient
internal import ClusterModel
internal import Crypto
internal import Essentials
internal import Pods
internal import Synchronization
internal import Web

struct KubeletHandler: WireHandler {
    let kubelet: NodeKubelet
    private let access: KubeletAccess

    init(kubelet: NodeKubelet) {
        self.kubelet = kubelet
        access = KubeletAccess(settings: kubelet.settings, client: kubelet.world.client)
    }

    func respond(to request: HTTPRequest, body: [UInt8]) async -> HTTPResponse {
        if let refusal = await access.refusal(of: request) { return refusal }
        let parts = request.path.split(separator: "/").map { percentDecoded($0) }
        switch parts.first {
        case "healthz": return .text("ok")
        case "pods": return json(podList(running: false))
        case "runningpods": return json(podList(running: true))
        case "containerLogs" where parts.count == 4:
            return logs(namespace: parts[1], pod: parts[2], container: parts[3], request)
        case "stats" where parts.count >= 2 && parts[1] == "summary": return json(await KubeletFigures(kubelet: kubelet).summary())
        case "metrics" where parts.count == 2 && parts[1] == "resource":
            return .text(await KubeletFigures(kubelet: kubelet).resourceMetrics(), type: "text/plain; version=0.0.4; charset=utf-8")
        case "metrics" where parts.count == 1 || ["cadvisor", "probes"].contains(parts[1]):
            return .text(await KubeletFigures(kubelet: kubelet).metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
        case "configz": return json(["kubeletconfig": kubelet.settings.configuration])
        default: return .text("404 page not found\n", status: 404)
        }
    }

    /// exec, attach and port-forward.
    func upgrade(_ request: HTTPRequest) async -> WireUpgrade? {
        if let refusal = await access.refusal(of: request) { return .refuse(refusal) }
        return await kubelet.streams?.upgrade(request, kubelet: kubelet)
    }

    private func json(_ value: JSON) -> HTTPResponse {
        HTTPResponse(headers: ["content-type": "application/json"], body: .bytes(value.bytes))
    }

    private func podList(running: Bool) -> JSON {
        let machines = kubelet.allWorkers.map(\.machine).filter { !running || $0.records.values.contains { $0.isRunning } }
        let items = machines.sorted { $0.pod.objectKey < $1.pod.objectKey }.map { machine in
            var pod = machine.pod
            pod["status"] = machine.status(previous: pod["status"] ?? .null, kubelet.world.status, now: SystemClock().now())
            return pod
        }
        return ["kind": "PodList", "apiVersion": "v1", "metadata": .emptyObject, "items": .array(items)]
    }

    private func logs(namespace: String, pod: String, container: String, _ request: HTTPRequest) -> HTTPResponse {
        let query = Dictionary(request.query, uniquingKeysWith: { $1 })
        func flag(_ name: String) -> Bool { ["true", "1"].contains(query[name] ?? "") }
        var options = PodLogOptions()
        options.container = container
        options.follow = flag("follow")
        options.previous = flag("previous")
        options.timestamps = flag("timestamps")
        options.tailLines = query["tailLines"].flatMap { Int($0) }
        options.sinceSeconds = query["sinceSeconds"].flatMap { Int($0) }
        options.sinceTime = query["sinceTime"].flatMap(Timestamp.init(rfc3339:))
        options.limitBytes = query["limitBytes"].flatMap { Int($0) }
        switch kubelet.log(namespace: namespace, pod: pod, container: container, options) {
        case .failure(let problem): return .text(problem.message + "\n", status: problem.code)
        case .success(let stream):
            let body = HTTPBodyStream { writer in for await chunk in stream { try await writer.write(chunk) } }
            return HTTPResponse(headers: ["content-type": "text/plain"], body: .stream(body))
        }
    }
}

extension NodeKubelet {
    /// A container's log, or why there is none, in upstream's words.
    func log(namespace: String, pod name: String, container: String, _ options: PodLogOptions) -> Result<
        AsyncStream<[UInt8]>, ClusterProblem
    > {
        guard let found = logPlace(namespace: namespace, pod: name) else {
            return .failure(.notFound(.pods, name))
        }
        let (uid, records, specs) = found
        guard specs.contains(container), let record = records[container] else {
            return .failure(.badRequest("container \(container) is not valid for pod \(name)"))
        }
        var attempt = record.attempt
        // A start that is under way has no log yet; the one before has.
        if !record.isRunning, !record.hasStartedOnce, attempt > 0 { attempt -= 1 }
        if options.previous {
            guard attempt > 0, record.hasStartedOnce || record.lastEnd != nil else {
                return .failure(.badRequest("previous terminated container \"\(container)\" in pod \"\(name)\" not found"))
            }
            attempt -= 1
        } else if !record.hasStartedOnce, record.end == nil, record.lastEnd == nil {
            let why = record.waitReason.isEmpty ? "ContainerCreating" : record.waitReason
            let what =
                ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"].contains(why)
                ? "trying and failing to pull image" : why
            return .failure(.badRequest("container \"\(container)\" in pod \"\(name)\" is waiting to start: \(what)"))
        }
        do throws(PodRuntimeProblem) {
            return .success(
                try world.runtime.log(podUID: uid, namespace: namespace, pod: name, container: container, attempt: attempt, options))
        } catch {
            return .failure(ClusterProblem(code: 404, reason: "NotFound", message: error.message))
        }
    }

    // Pods that ended before this kubelet began have no worker, but they have logs.
    private func logPlace(namespace: String, pod name: String) -> (uid: String, records: [String: ContainerRecord], names: Set<String>)? {
        if let worker = worker(namespace: namespace, name: name) {
            let machine = worker.machine
            return (worker.uid, machine.records, Set(machine.specs.map(\.name)))
        }
        guard let pod = pods.item(namespace: namespace, name: name), !StaticPods.isMirror(pod) else { return nil }
        let machine = PodMachine(pod: pod, now: .now())
        return (pod.metaUID, machine.records, Set(machine.specs.map(\.name)))
    }
}

/// Who may ask the kubelet.
final class KubeletAccess: Sendable {
    /// Answers about tokens are kept so long, in seconds.
    static let memorySeconds = 120.0
    static let memoryLimit = 256

    private let settings: KubeletSettings
    private let client: ClusterClient
    private let known = Mutex<[String: (isAllowed: Bool, until: Double)]>([:])

    init(settings: KubeletSettings, client: ClusterClient) {
        self.settings = settings
        self.client = client
    }

    func refusal(of request: HTTPRequest) async -> HTTPResponse? {
        if let certificate = request.clientCertificate {
            let isServer = certificate.commonName == "kube-apiserver-kubelet-client"
            if isServer || certificate.organizations.contains("system:masters")
                || certificate.organizations.contains("kubeadm:cluster-admins")
            {
                return nil
            }
            let user = UserInfo(name: certificate.commonName, groups: certificate.organizations + ["system:authenticated"])
            return await isAllowed(user, request) ? nil : forbidden(user.name, request)
        }
        let field = request.headers["authorization"] ?? ""
        if field.lowercased().hasPrefix("bearer "), settings.asksAboutTokens {
            guard let user = await user(ofToken: String(field.dropFirst(7))) else { return .text("Unauthorized", status: 401) }
            return await isAllowed(user, request) ? nil : forbidden(user.name, request)
        }
        if settings.allowsAnonymous {
            return await isAllowed(.anonymous, request) ? nil : forbidden("system:anonymous", request)
        }
        return .text("Unauthorized", status: 401)
    }

    private func forbidden(_ user: String, _ request: HTTPRequest) -> HTTPResponse {
        .text(
            "Forbidden (user=\(user), verb=\(Self.verb(request)), resource=nodes, subresource=[\(Self.subresource(request))])", status: 403)
    }

    private static func verb(_ request: HTTPRequest) -> String { request.method == "GET" || request.method == "HEAD" ? "get" : "create" }

    private static func subresource(_ request: HTTPRequest) -> String {
        switch request.path.split(separator: "/").first {
        case "stats": "stats"
        case "metrics": "metrics"
        case "logs": "log"
        default: "proxy"
        }
    }

    private func user(ofToken token: String) async -> UserInfo? {
        let review: JSON = ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": ["token": JSON(token)]]
        guard let answer = try? await client.create(.tokenReviews, review), answer["status"]?["authenticated"] == true,
            let name = answer["status"]?["user"]?["username"]?.string
        else { return nil }
        return UserInfo(name: name, groups: (answer["status"]?["user"]?["groups"]?.array ?? []).compactMap(\.string))
    }

    private func isAllowed(_ user: UserInfo, _ request: HTTPRequest) async -> Bool {
        let key = "\(user.name) \(Self.verb(request)) \(Self.subresource(request))"
        let now = monotonicSeconds()
        if let old = known.withLock({ $0[key] }), old.until > now { return old.isAllowed }
        let review: JSON = [
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": [
                "user": JSON(user.name), "groups": JSON(user.groups),
                "resourceAttributes": [
                    "verb": JSON(Self.verb(request)), "version": "v1", "resource": "nodes",
                    "subresource": JSON(Self.subresource(request)), "name": JSON(settings.nodeName),
                ],
            ],
        ]
        guard let answer = try? await client.create(.subjectAccessReviews, review) else { return false }
        let isAllowed = answer["status"]?["allowed"] == true
        known.withLock { known in
            if known.count >= Self.memoryLimit { known = [:] }
            known[key] = (isAllowed, now + Self.memorySeconds)
        }
        return isAllowed
    }
}
