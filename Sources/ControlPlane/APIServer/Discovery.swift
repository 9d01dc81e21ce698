// What the server says about itself: versions, groups, resources.
internal import ClusterModel
internal import Essentials

extension APIServer {
    static let gitVersion = "v1.32.0"

    func document(_ document: Route.Document, _ request: APIRequest) throws(ClusterProblem) -> JSON {
        guard ["GET", "HEAD"].contains(request.method) else { throw .methodNotAllowed() }
        let aggregate = Self.aggregateVersion(request)
        switch document {
        case .paths: return ["paths": JSON(paths)]
        case .version:
            return [
                "major": "1", "minor": "32", "gitVersion": JSON(Self.gitVersion), "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "2026-11-24T00:00:00Z", "goVersion": "none (Swift)", "compiler": "swiftc", "platform": "linux/amd64",
            ]
        case .coreVersions:
            if let aggregate { return self.aggregate(core: true, version: aggregate) }
            return [
                "kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [["clientCIDR": "0.0.0.0/0", "serverAddress": ""]],
            ]
        case .groups:
            if let aggregate { return self.aggregate(core: false, version: aggregate) }
            return [
                "kind": "APIGroupList", "apiVersion": "v1", "groups": .array(schema.groups.filter { !$0.name.isEmpty }.map(Self.group)),
            ]
        case .group(let name):
            guard !name.isEmpty, let group = schema.groups.first(where: { $0.name == name }) else { throw .noSuchPath }
            var document: JSON = ["kind": "APIGroup", "apiVersion": "v1"]
            for (key, value) in Self.group(group).members { document[key] = value }
            return document
        case .resources(let group, let version): return try resources(group: group, version: version)
        case .openAPI2: return OpenAPI(schema: schema).version2
        case .openAPI3: return OpenAPI(schema: schema).index
        case .openAPI3Group(let group, let version):
            guard schema.groups.contains(where: { $0.name == group && $0.versions.contains(version) }) else { throw .noSuchPath }
            return OpenAPI(schema: schema).version3(group: group, version: version)
        }
    }

    private var paths: [String] {
        var paths = ["/api", "/api/v1", "/apis"]
        for group in schema.groups where !group.name.isEmpty {
            paths.append("/apis/" + group.name)
            paths += group.versions.map { "/apis/\(group.name)/\($0)" }
        }
        return paths + ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    }

    private static func group(_ group: (name: String, versions: [String])) -> JSON {
        let versions: [JSON] = group.versions.map { ["groupVersion": "\(group.name)/\($0)", "version": JSON($0)] }
        return ["name": JSON(group.name), "versions": JSON(versions), "preferredVersion": versions[0]]
    }

    /// Old versions of kinds say no verbs, so clients that look for all there is find each object once; they serve all the same.
    private static func verbs(_ kind: Kind) -> [String] { kind.conversion != nil && kind.deprecation != nil ? [] : kind.verbs }

    private func resources(group: String, version: String) throws(ClusterProblem) -> JSON {
        let kinds = schema.kinds.filter { $0.resource.group == group && $0.resource.version == version }
        guard !kinds.isEmpty else { throw .noSuchPath }
        var resources: [JSON] = []
        for kind in kinds.sorted(by: { $0.resource.resource < $1.resource.resource }) {
            var entry: JSON = [
                "name": JSON(kind.resource.resource), "singularName": JSON(kind.singular), "namespaced": JSON(kind.isNamespaced),
                "kind": JSON(kind.name), "verbs": JSON(Self.verbs(kind)),
            ]
            if !kind.shortNames.isEmpty { entry["shortNames"] = JSON(kind.shortNames) }
            if !kind.categories.isEmpty { entry["categories"] = JSON(kind.categories) }
            resources.append(entry)
            for part in Self.subresources(kind) {
                var entry: JSON = [
                    "name": JSON("\(kind.resource.resource)/\(part.name)"), "singularName": "", "namespaced": JSON(kind.isNamespaced),
                    "kind": JSON(part.kind), "verbs": JSON(part.verbs),
                ]
                if let version = part.version {
                    entry["group"] = JSON(version.group)
                    entry["version"] = JSON(version.version)
                }
                resources.append(entry)
            }
        }
        let groupVersion = group.isEmpty ? version : group + "/" + version
        return ["kind": "APIResourceList", "apiVersion": "v1", "groupVersion": JSON(groupVersion), "resources": JSON(resources)]
    }

    private static func subresources(_ kind: Kind) -> [Kind.Subresource] {
        let status = Kind.Subresource(name: "status", kind: kind.name, version: nil, verbs: ["get", "patch", "update"])
        return ((kind.hasStatus ? [status] : []) + kind.subresources).sorted { $0.name < $1.name }
    }

    /// The version of apidiscovery.k8s.io that the client understands, where it understands one.
    static func aggregateVersion(_ request: APIRequest) -> String? {
        let accept = request.header("accept") ?? ""
        guard accept.contains("as=APIGroupDiscoveryList") else { return nil }
        return accept.split(separator: ",").contains {
            $0.contains("as=APIGroupDiscoveryList") && $0.contains("v=v2") && !$0.contains("v=v2beta1")
        } ? "v2" : "v2beta1"
    }

    /// Clients tell an aggregate from a plain answer by the content type.
    static func contentType(of document: Route.Document, _ request: APIRequest) -> String {
        guard document == .coreVersions || document == .groups, let version = aggregateVersion(request) else { return "application/json" }
        return "application/json;g=apidiscovery.k8s.io;v=\(version);as=APIGroupDiscoveryList"
    }

    /// Everything in one answer, so that a client asks twice instead of once a group.
    private func aggregate(core: Bool, version: String) -> JSON {
        let groups: [JSON] = schema.groups.filter { $0.name.isEmpty == core }.map { group in
            let versions: [JSON] = group.versions.map { version in
                let kinds = schema.kinds.filter { $0.resource.group == group.name && $0.resource.version == version }
                return ["version": JSON(version), "freshness": "Current", "resources": .array(kinds.map { Self.aggregate($0) })]
            }
            var metadata: JSON = ["creationTimestamp": .null]
            if !group.name.isEmpty { metadata["name"] = JSON(group.name) }
            return ["metadata": metadata, "versions": JSON(versions)]
        }
        return [
            "kind": "APIGroupDiscoveryList", "apiVersion": JSON("apidiscovery.k8s.io/" + version), "metadata": .emptyObject,
            "items": JSON(groups),
        ]
    }

    private static func aggregate(_ kind: Kind) -> JSON {
        func responseKind(_ name: String, _ version: GroupVersionResource) -> JSON {
            ["group": JSON(version.group), "version": JSON(version.version), "kind": JSON(name)]
        }
        var entry: JSON = [
            "resource": JSON(kind.resource.resource), "responseKind": responseKind(kind.name, kind.resource),
            "scope": kind.isNamespaced ? "Namespaced" : "Cluster", "singularResource": JSON(kind.singular), "verbs": JSON(Self.verbs(kind)),
        ]
        if !kind.shortNames.isEmpty { entry["shortNames"] = JSON(kind.shortNames) }
        if !kind.categories.isEmpty { entry["categories"] = JSON(kind.categories) }
        let parts: [JSON] = subresources(kind).map { part in
            [
                "subresource": JSON(part.name), "responseKind": responseKind(part.kind, part.version ?? kind.resource),
                "verbs": JSON(part.verbs),
            ]
        }
        if !parts.isEmpty { entry["subresources"] = JSON(parts) }
        return entry
    }
}
