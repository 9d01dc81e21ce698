// What a kubelet may do: work with its own node and pods, and read what its pods name.
internal import ClusterClient
internal import ClusterModel
internal import Essentials
internal import Synchronization

struct NodeAuthorizer: Sendable {
    private static let prefix = "system:node:"
    /// Seconds that a found reference is remembered.
    private static let rememberSeconds = 10.0
    private static let rememberLimit = 4096

    private struct Reference: Hashable {
        var node: String
        var resource: String
        var namespace: String
        var name: String
    }

    private final class Memory: Sendable {
        let until = Mutex<[Reference: Double]>([:])
    }

    private let client: ClusterClient
    private let memory = Memory()
    private static let rules = CompiledRules(SystemRoles.node)

    init(client: ClusterClient) { self.client = client }

    /// The node's name, where the user is one.
    static func node(_ user: UserInfo) -> String? {
        guard user.name.hasPrefix(prefix), user.groups.contains("system:nodes") else { return nil }
        return String(user.name.dropFirst(prefix.count))
    }

    func decide(_ node: String, _ request: RequestAttributes) async -> Decision {
        func refuse(_ reason: String) -> Decision { Decision(isAllowed: false, reason: reason) }
        switch (request.group, request.resource) {
        case ("", "secrets"), ("", "configmaps"):
            guard ["get", "list", "watch"].contains(request.verb), request.subresource.isEmpty else {
                return refuse("can only read resources of this type")
            }
            return await follow(node, request)
        case ("", "persistentvolumeclaims"):
            if request.verb == "get" { return await follow(node, request) }
            return Decision(isAllowed: ["update", "patch"].contains(request.verb) && request.subresource == "status")
        case ("", "persistentvolumes"): return Decision(isAllowed: request.verb == "get" && request.subresource.isEmpty)
        case ("", "serviceaccounts"):
            guard request.verb == "create", request.subresource == "token" else {
                return refuse("can only create tokens for individual service accounts")
            }
            return await follow(node, request)
        case ("coordination.k8s.io", "leases"):
            guard request.namespace == "kube-node-lease" else {
                return refuse("can only access leases in the \"kube-node-lease\" system namespace")
            }
            guard request.verb == "create" || request.name == node else {
                return refuse("can only access node lease with the same name as the requesting node")
            }
            return Decision(isAllowed: ["get", "create", "update", "patch", "delete"].contains(request.verb))
        case ("storage.k8s.io", "csinodes"):
            guard request.verb == "create" || request.name == node else {
                return refuse("can only access CSINode with the same name as the requesting node")
            }
            return Decision(isAllowed: ["get", "create", "update", "patch", "delete"].contains(request.verb))
        default: return Decision(isAllowed: Self.rules.allows(request))
        }
    }

    /// Whether a pod on the node names the object.
    private func follow(_ node: String, _ request: RequestAttributes) async -> Decision {
        let refusal = Decision(
            isAllowed: false, reason: "no relationship found between node '\(node)' and this object")
        guard !request.name.isEmpty, !request.namespace.isEmpty else {
            return Decision(isAllowed: false, reason: "No Object name found")
        }
        let reference = Reference(node: node, resource: request.resource, namespace: request.namespace, name: request.name)
        let now = monotonicSeconds()
        if let until = memory.until.withLock({ $0[reference] }), now < until { return Decision(isAllowed: true) }
        let options = ListOptions(fieldSelector: "spec.nodeName=\(node)")
        guard let pods = try? await client.list(.pods, namespace: request.namespace, options: options).items,
            pods.contains(where: { Self.names($0, request.resource, request.name) })
        else { return refusal }
        memory.until.withLock { until in
            if until.count >= Self.rememberLimit { until.removeAll() }
            until[reference] = now + Self.rememberSeconds
        }
        return Decision(isAllowed: true)
    }

    static func names(_ pod: JSON, _ resource: String, _ name: String) -> Bool {
        let spec = pod["spec"] ?? .null
        if resource == "serviceaccounts" { return spec["serviceAccountName"]?.string ?? "default" == name }
        func isNamed(_ value: JSON?, _ key: String) -> Bool { value?[key]?.string == name }
        let volumes = spec["volumes"]?.array ?? []
        if resource == "persistentvolumeclaims" {
            return volumes.contains { volume in
                isNamed(volume["persistentVolumeClaim"], "claimName")
                    || (volume["ephemeral"] != nil && pod.metaName + "-" + (volume["name"]?.string ?? "") == name)
            }
        }
        let (source, environment, key) =
            resource == "secrets"
            ? ("secret", ("secretRef", "secretKeyRef"), "secretName") : ("configMap", ("configMapRef", "configMapKeyRef"), "name")
        for volume in volumes {
            if isNamed(volume[source], key) { return true }
            for part in volume["projected"]?["sources"]?.array ?? [] where isNamed(part[source], "name") { return true }
            if resource == "secrets" {
                for (_, kind) in volume.members where isNamed(kind["secretRef"], "name") { return true }
            }
        }
        if resource == "secrets" {
            for pull in spec["imagePullSecrets"]?.array ?? [] where isNamed(pull, "name") { return true }
        }
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for container in spec[list]?.array ?? [] {
                for part in container["envFrom"]?.array ?? [] where isNamed(part[environment.0], "name") { return true }
                for variable in container["env"]?.array ?? [] where isNamed(variable["valueFrom"]?[environment.1], "name") { return true }
            }
        }
        return false
    }
}
