// What a cluster begins with: namespaces, roles, priority classes, the `kubernetes` Service and its endpoints.
//
// Run at every start of an API server: what is missing is made, roles get rules back that someone took away, and the
// endpoints of `kubernetes` follow the server's address.
package import ClusterClient
package import ClusterModel
internal import Essentials
internal import Logging

package struct ClusterBeginning: Sendable {
    private static let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"]
    private static let autoupdate = "rbac.authorization.kubernetes.io/autoupdate"

    private let client: ClusterClient
    private let serves: @Sendable (GroupVersionResource) -> Bool
    private let log = Logger(label: "apiserver")

    /// `serves`: whether the API has the resource.
    package init(client: ClusterClient, serves: @escaping @Sendable (GroupVersionResource) -> Bool) {
        self.client = client
        self.serves = serves
    }

    private func create(_ resource: GroupVersionResource, _ object: JSON) async throws(ClusterProblem) {
        guard serves(resource) else { return }
        do throws(ClusterProblem) { _ = try await client.create(resource, object) } catch {
            if !error.isAlreadyExists { throw error }
        }
    }

    private func createUnlessThere(_ resource: GroupVersionResource, _ object: JSON) async throws(ClusterProblem) {
        do throws(ClusterProblem) {
            _ = try await client.get(resource, namespace: object.metaNamespace, name: object.metaName)
        } catch {
            guard error.isNotFound else { throw error }
            try await create(resource, object)
        }
    }

    package func namespaces() async throws(ClusterProblem) {
        for name in Self.namespaces {
            try await createUnlessThere(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": JSON(name)]])
        }
    }

    // MARK: Roles

    package func roles() async throws(ClusterProblem) {
        guard serves(.clusterRoles) else { return }
        var there: [String: [String: JSON]] = [:]
        let resources: [String: GroupVersionResource] = [
            "ClusterRole": .clusterRoles, "Role": .roles, "ClusterRoleBinding": .clusterRoleBindings, "RoleBinding": .roleBindings,
        ]
        for (kind, resource) in resources {
            for object in try await client.list(resource).items { there[kind, default: [:]][Self.key(object)] = object }
        }
        // All at once: the store commits what comes together in one go.
        let present = there
        let outcomes = await withTaskGroup(of: ClusterProblem?.self) { group in
            for wanted in SystemRoles.documents {
                guard let kind = wanted["kind"]?.string, let resource = resources[kind] else { continue }
                let object = present[kind]?[Self.key(wanted)]
                group.addTask {
                    do throws(ClusterProblem) {
                        try await bring(wanted, object, resource)
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            var problems: [ClusterProblem] = []
            for await problem in group { if let problem { problems.append(problem) } }
            return problems
        }
        if let first = outcomes.first { throw first }
    }

    private func bring(_ wanted: JSON, _ present: JSON?, _ resource: GroupVersionResource) async throws(ClusterProblem) {
        guard let present else { return try await create(resource, wanted) }
        guard present.metaAnnotations[Self.autoupdate] != "false", let fixed = Self.reconciled(present, wanted) else { return }
        do throws(ClusterProblem) { _ = try await client.update(resource, fixed) } catch {
            if !error.isConflict { throw error }
        }
    }

    private static func key(_ object: JSON) -> String { (object.metaNamespace ?? "") + "/" + object.metaName }

    /// The object with what it lost; `nil` where it has all. More than the wanted stays.
    static func reconciled(_ present: JSON, _ wanted: JSON) -> JSON? {
        var fixed = present
        for list in ["rules", "subjects"] {
            // The rules of aggregated roles are worked out.
            if wanted["aggregationRule"] != nil, list == "rules" { continue }
            guard let needed = wanted[list]?.array else { continue }
            var items = present[list]?.array ?? []
            for item in needed where !items.contains(where: { isSame($0, item) }) { items.append(item) }
            if items != present[list]?.array ?? [] { fixed[list] = JSON(items) }
        }
        for (key, value) in wanted["metadata"]?["labels"]?.members ?? [] where fixed["metadata"]?["labels"]?[key] != value {
            fixed[path: ["metadata", "labels", key]] = value
        }
        return fixed == present ? JSON?.none : fixed
    }

    private static func isSame(_ left: JSON, _ right: JSON) -> Bool {
        let members = left.members
        guard !members.isEmpty, members.count == right.members.count else { return left == right }
        return members.allSatisfy { right[$0.key] == $0.value }
    }

    // MARK: Priorities

    package func priorities() async throws(ClusterProblem) {
        for (name, value, text) in [
            (
                "system-cluster-critical", 2_000_000_000,
                "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
            ),
            ("system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."),
        ] {
            try await create(
                .priorityClasses,
                [
                    "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": ["name": JSON(name)], "value": JSON(value),
                    "description": JSON(text), "preemptionPolicy": "PreemptLowerPriority",
                ])
        }
    }

    // MARK: The Service

    /// `clusterIP`: the first address of the service range.
    package func service(clusterIP: String, address: String, port: Int) async throws(ClusterProblem) {
        guard serves(.services) else { return }
        let labels: JSON = ["component": "apiserver", "provider": "kubernetes"]
        // A second Service of the same address would be refused for that, before its name is seen.
        try await createUnlessThere(
            .services,
            [
                "apiVersion": "v1", "kind": "Service", "metadata": ["name": "kubernetes", "namespace": "default", "labels": labels],
                "spec": [
                    "type": "ClusterIP", "clusterIP": JSON(clusterIP), "clusterIPs": [JSON(clusterIP)], "sessionAffinity": "None",
                    "ipFamilies": [clusterIP.contains(":") ? "IPv6" : "IPv4"], "ipFamilyPolicy": "SingleStack",
                    "ports": [["name": "https", "port": 443, "protocol": "TCP", "targetPort": JSON(port)]],
                ],
            ])
        // For trials on one machine: no pod could reach it, and endpoints may not name it.
        if address.hasPrefix("127.") || address == "::1" { return }
        try await put(
            .endpoints,
            [
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": [
                    "name": "kubernetes", "namespace": "default", "labels": ["endpointslice.kubernetes.io/skip-mirror": "true"],
                ],
                "subsets": [
                    ["addresses": [["ip": JSON(address)]], "ports": [["name": "https", "port": JSON(port), "protocol": "TCP"]]]
                ],
            ], parts: ["subsets"])
        try await put(
            .endpointSlices,
            [
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": [
                    "name": "kubernetes", "namespace": "default", "labels": ["kubernetes.io/service-name": "kubernetes"],
                ],
                "addressType": address.contains(":") ? "IPv6" : "IPv4",
                "endpoints": [["addresses": [JSON(address)], "conditions": ["ready": true]]],
                "ports": [["name": "https", "port": JSON(port), "protocol": "TCP"]],
            ], parts: ["endpoints", "ports"])
    }

    private func put(_ resource: GroupVersionResource, _ object: JSON, parts: [String]) async throws(ClusterProblem) {
        guard serves(resource) else { return }
        do throws(ClusterProblem) {
            try await client.modify(resource, namespace: object.metaNamespace, name: object.metaName) { present in
                let isRight = parts.allSatisfy { Self.contains(present[$0], object[$0]) }
                if isRight { return false }
                for part in parts { present[part] = object[part] }
                return true
            }
        } catch {
            guard error.isNotFound else { throw error }
            try await create(resource, object)
        }
    }

    /// Whether all of `part` stands in `whole`, defaults aside.
    private static func contains(_ whole: JSON?, _ part: JSON?) -> Bool {
        guard let part else { return true }
        switch (whole, part) {
        case (.object?, .object): return part.members.allSatisfy { contains(whole?[$0.key], $0.value) }
        case (.array(let elements)?, .array(let wanted)):
            return elements.count == wanted.count && zip(elements, wanted).allSatisfy { contains($0, $1) }
        default: return whole == part
        }
    }
}
