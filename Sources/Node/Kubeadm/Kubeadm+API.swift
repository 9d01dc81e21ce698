// kubeadm's talk with the API server and the kubelet: waiting until they answer, and writing objects.
internal import ClusterClient
internal import ClusterModel
internal import ClusterWire
internal import Essentials

extension KubeadmProblem {
    static func cluster(_ problem: ClusterProblem, _ what: String) -> KubeadmProblem {
        KubeadmProblem("\(what): \(problem.message)", reason: problem.reason)
    }
    static func wire(_ problem: WireProblem) -> KubeadmProblem { KubeadmProblem(problem.message, reason: problem.reason) }
}

/// An API server by a kubeconfig.
struct ClusterAccess: Sendable {
    let client: ClusterClient
    private let transport: HTTPSTransport

    /// The longest any one question takes.
    private static let timeoutSeconds = 20.0
    /// How long a right that is missing is waited for.
    private static let rightsSeconds = 5.0
    /// Between two looks at something that begins.
    static let pause = Duration.milliseconds(15)

    init(_ configuration: ClusterConfiguration) throws(KubeadmProblem) {
        var configuration = configuration
        configuration.userAgent = "kubeadm/\(KubeadmDefaults.version)"
        do throws(WireProblem) { transport = try HTTPSTransport(configuration, timeoutSeconds: Self.timeoutSeconds) } catch {
            throw .wire(error)
        }
        client = ClusterClient(transport: transport)
    }

    init(kubeconfig path: String, place: KubeadmPlace) throws(KubeadmProblem) {
        guard place.exists(path) else {
            throw KubeadmProblem("failed to load admin kubeconfig: open \(path): no such file or directory")
        }
        let configuration: ClusterConfiguration
        do throws(WireProblem) { configuration = try ClusterConfiguration(kubeconfig: place.root + path) } catch { throw .wire(error) }
        try self.init(configuration)
    }

    /// Whether a path such as `/readyz` answers well.
    func answers(_ path: String) async -> Bool { await transport.send(APIRequest(method: "GET", path: path, user: .system)).status == 200 }

    /// Looks until `path` answers well. Returns the seconds it took; nil when it took too long.
    func wait(for path: String, seconds limit: Double) async -> Double? {
        let start = monotonicSeconds()
        while monotonicSeconds() - start < limit {
            if await answers(path) { return monotonicSeconds() - start }
            try? await Task.sleep(for: Self.pause)
        }
        return nil
    }

    /// One object; `what` goes before what is wrong.
    func read(_ resource: GroupVersionResource, _ namespace: String, _ name: String, _ what: String) async throws(KubeadmProblem) -> JSON {
        let start = monotonicSeconds()
        while true {
            do throws(ClusterProblem) { return try await client.get(resource, namespace: namespace, name: name) } catch {
                // A right that was given a moment ago may not have reached the server's cache of roles.
                guard error.isForbidden, monotonicSeconds() - start < Self.rightsSeconds else { throw .cluster(error, what) }
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Creates or replaces.
    func put(_ object: JSON) async throws(ClusterProblem) {
        let resource = try Self.resource(of: object)
        do throws(ClusterProblem) { _ = try await client.create(resource, object) } catch {
            guard error.isAlreadyExists else { throw error }
            // A Service keeps what was given to it, and a role's reference cannot change: what is there is merged with ours.
            _ = try await client.patch(resource, namespace: object.metaNamespace, name: object.metaName, .merge, object)
        }
    }

    /// Writes objects side by side: none may need another one to be there first.
    func putAll(_ objects: [JSON]) async throws(ClusterProblem) {
        let problem = await withTaskGroup(of: ClusterProblem?.self) { group in
            for object in objects {
                group.addTask {
                    do throws(ClusterProblem) {
                        try await self.put(object)
                        return nil
                    } catch { return error }
                }
            }
            var first: ClusterProblem?
            for await problem in group { first = first ?? problem }
            return first
        }
        if let problem { throw problem }
    }

    /// The same for commands.
    func putting(_ objects: [JSON]) async throws(KubeadmProblem) {
        do throws(ClusterProblem) { try await putAll(objects) } catch { throw KubeadmProblem(error.message, reason: error.reason) }
    }

    private static func resource(of object: JSON) throws(ClusterProblem) -> GroupVersionResource {
        switch object["kind"]?.string {
        case "ConfigMap": return .configMaps
        case "Secret": return .secrets
        case "Role": return .roles
        case "RoleBinding": return .roleBindings
        case "ClusterRole": return .clusterRoles
        case "ClusterRoleBinding": return .clusterRoleBindings
        case "ServiceAccount": return .serviceAccounts
        case "Service": return .services
        case "Deployment": return .deployments
        case "DaemonSet": return .daemonSets
        default: throw .badRequest("kubeadm writes no \(object["kind"]?.string ?? "such thing")")
        }
    }
}

extension Kubeadm {
    /// Starts the kubelet and waits until it says that it is well.
    func startKubelet() async throws(KubeadmProblem) {
        place.print("[kubelet-start] Starting the kubelet\n")
        do throws(ServiceProblem) {
            try place.control.ask("daemon-reload")
            let status = try place.control.ask("restart", unit: "kubelet.service")["status"] ?? .null
            guard status["active"] == "active" else {
                throw ServiceProblem(reason: "NotStarted", message: "couldn't start kubelet service; see \"journalctl -u kubelet\"")
            }
        } catch {
            place.complain("[kubelet-start] WARNING: unable to start the kubelet service: [\(error.message)]\n")
        }
    }

    func waitForKubelet() async throws(KubeadmProblem) {
        let url = "http://127.0.0.1:10248/healthz"
        place.print("[kubelet-check] Waiting for a healthy kubelet at \(url). This can take up to 4m0s\n")
        let kubelet = try ClusterAccess(ClusterConfiguration(server: "http://127.0.0.1:10248"))
        guard let seconds = await kubelet.wait(for: "/healthz", seconds: waitSeconds) else {
            throw KubeadmProblem(Self.kubeletTrouble(url), reason: "KubeletNotHealthy")
        }
        place.print("[kubelet-check] The kubelet is healthy after \(Self.goSeconds(seconds))\n")
    }

    /// As Go writes durations: `501.298ms`, `1.5s`.
    static func goSeconds(_ seconds: Double) -> String {
        let micros = Int(seconds * 1_000_000)
        func decimal(_ value: Int, _ unit: Int) -> String {
            let fraction = String(String(value % unit + unit).dropFirst())
            let trimmed = fraction.reversed().drop { $0 == "0" }.reversed()
            return "\(value / unit)" + (trimmed.isEmpty ? "" : "." + String(trimmed))
        }
        return micros >= 1_000_000 ? decimal(micros, 1_000_000) + "s" : decimal(micros, 1000) + "ms"
    }

    private static func kubeletTrouble(_ url: String) -> String {
        """
        error execution phase wait-control-plane: failed while waiting for the kubelet to start: The HTTP call equal to 'curl -sSL \(url)' \
        returned error: connection refused

        Unfortunately, an error has occurred, likely caused by:
        \t- The kubelet is not running
        \t- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)

        You can troubleshoot the error with the following commands:
        \t- 'systemctl status kubelet'
        \t- 'journalctl -xeu kubelet'
        """
    }
}
