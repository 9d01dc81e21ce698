// One row of the schema table: everything the API server knows about a kind.
package import Essentials

/// A column of `kubectl get`.
package struct Column: Sendable {
    package let name: String
    package let type: String
    package let doc: String
    /// 0 always shows; 1 shows with `-o wide`.
    package let priority: Int
    package init(_ name: String, type: String = "string", wide: Bool = false, _ doc: String = "") {
        self.name = name
        self.type = type
        self.doc = doc.isEmpty ? name : doc
        priority = wide ? 1 : 0
    }
}

package struct Kind: Sendable {
    package enum NameRule: Sendable { case subdomain, label, path, serviceLabel }

    /// What can be done with stored objects.
    package static let allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

    package let resource: GroupVersionResource
    package let name: String
    package let singular: String
    package var shortNames: [String] = []
    package var categories: [String] = []
    package var isNamespaced = true
    package var hasStatus = false
    package var nameRule = NameRule.subdomain
    /// The type of the table that describes documents of this kind.
    package var type: String { typeName ?? name }
    /// The type's name where it is not the kind's.
    package var typeName: String?
    /// What a custom resource is measured by; built-in kinds have the table.
    package var customSchema: JSONSchema?
    package var verbs = Kind.allVerbs
    /// Whether objects are kept. Kinds that are not are questions, answered at once, or are put together from elsewhere.
    package var isStored = true
    /// Whether the server counts changes in `metadata.generation`; where not said, those with a status do.
    package var countsGenerations: Bool?
    /// Set where objects are stored as another version of the kind.
    package var conversion: Conversion?
    /// The warning that clients of an old version get.
    package var deprecation: String?
    package var columns: [Column] = [Column("Name"), Column("Age")]
    package var cells: @Sendable (JSON, Timestamp) -> [JSON] = { object, now in
        [JSON(object.metaName), JSON(Age.text(of: object, at: now))]
    }
    /// Fields beyond `metadata.name` and `metadata.namespace` that field selectors may name.
    package var selectable: [String] = []
    /// Values that depend on others; runs after the table's defaults.
    package var applyDefaults: @Sendable (inout JSON) -> Void = { _ in }
    /// What a new object of this kind begins with, whatever the client sent.
    package var prepareCreate: @Sendable (inout JSON) -> Void = { _ in }
    /// What a changed object takes over from the old one or loses; runs before the defaults.
    package var prepareUpdate: @Sendable (inout JSON, JSON) -> Void = { _, _ in }
    /// Rules beyond the table's. The old object is there for updates.
    package var check: @Sendable (JSON, JSON?) -> [FieldCause] = { _, _ in [] }
    /// Further subresources and their verbs: `log`, `binding`, ….
    package var subresources: [Subresource] = []
    /// Seconds between the request to delete and the removal; `nil` removes at once.
    package var gracePeriod: @Sendable (JSON) -> Int? = { _ in nil }

    package struct Subresource: Sendable {
        package let name: String
        package let kind: String
        package let version: GroupVersionResource?
        package let verbs: [String]
        package init(name: String, kind: String, version: GroupVersionResource?, verbs: [String]) {
            self.name = name
            self.kind = kind
            self.version = version
            self.verbs = verbs
        }
    }

    /// How objects of one version become those of the version they are stored in, and back.
    package struct Conversion: Sendable {
        package let storage: GroupVersionResource
        /// Fills in the defaults of this version and gives the document the form of the stored one.
        package let toStorage: @Sendable (inout JSON) -> Void
        package let fromStorage: @Sendable (inout JSON) -> Void
        /// Fields that this version had once, which are let go without a word.
        package var dropped: [[String]] = []
        /// Names in field selectors, and those they have in stored documents.
        package var fields: [String: String] = [:]
    }

    package var apiVersion: String { resource.apiVersion }
    package var hasGeneration: Bool { countsGenerations ?? (hasStatus && !["Namespace", "Node"].contains(name)) }
    package var listName: String { name + "List" }

    /// Where the objects lie in the store.
    package var storePrefix: String {
        let stored = conversion?.storage ?? resource
        return (stored.group.isEmpty ? "" : stored.group + "/") + stored.resource + "/"
    }

    package func storeKey(namespace: String?, name: String) -> String {
        storePrefix + (isNamespaced ? (namespace ?? "") + "/" : "") + name
    }

    package func storePrefix(namespace: String?) -> String {
        storePrefix + (isNamespaced ? namespace.map { $0 + "/" } ?? "" : "")
    }

    package func isSelectable(_ path: String) -> Bool {
        path == "metadata.name" || (isNamespaced && path == "metadata.namespace") || selectable.contains(path)
    }
}

extension Kind {
    /// A kind of which no more is known than its names.
    package init(plain resource: GroupVersionResource, name: String, isNamespaced: Bool, hasStatus: Bool) {
        self.init(resource: resource, name: name, singular: name.lowercased())
        self.isNamespaced = isNamespaced
        self.hasStatus = hasStatus
    }

    /// The stored document as this version shows it.
    package func shown(_ stored: JSON) -> JSON {
        guard let conversion else { return stored }
        var object = stored
        conversion.fromStorage(&object)
        object["apiVersion"] = JSON(apiVersion)
        object["kind"] = JSON(name)
        return object
    }

    /// A document of this version as it is stored.
    package func storable(_ document: JSON, as stored: Kind) -> JSON {
        guard let conversion else { return document }
        var object = document
        conversion.toStorage(&object)
        object["apiVersion"] = JSON(stored.apiVersion)
        object["kind"] = JSON(stored.name)
        return object
    }

    /// The kind with another version's name, stored as this one. `change` says what differs.
    func served(as resource: GroupVersionResource, _ change: (inout Kind) -> Void) -> Kind {
        var copy = Kind(resource: resource, name: name, singular: singular)
        copy.isNamespaced = isNamespaced
        copy.hasStatus = hasStatus
        copy.nameRule = nameRule
        copy.typeName = type
        copy.columns = columns
        copy.cells = cells
        copy.selectable = selectable
        copy.subresources = subresources
        copy.countsGenerations = countsGenerations
        copy.conversion = Conversion(storage: self.resource, toStorage: { _ in }, fromStorage: { _ in })
        change(&copy)
        return copy
    }
}

/// The kinds a server serves.
package struct Schema: Sendable {
    package let kinds: [Kind]
    package let types: TypeTable
    private let byResource: [GroupVersionResource: Int]

    package init(kinds: [Kind], types: TypeTable = .builtIn) {
        self.kinds = kinds
        self.types = types
        byResource = Dictionary(kinds.enumerated().map { ($1.resource, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The kinds of the orchestrator on the host.
    package static let host = Schema(kinds: [
        .namespace, .node, .hostPod, .event, .configMap, .secret, .resourceQuota, .lease, .networkPolicy,
    ])

    package func kind(_ resource: GroupVersionResource) -> Kind? { byResource[resource].map { kinds[$0] } }
    package func kind(apiVersion: String, kind: String) -> Kind? { kinds.first { $0.apiVersion == apiVersion && $0.name == kind } }

    /// The version of the kind in which objects are stored.
    package func stored(_ kind: Kind) -> Kind { kind.conversion.flatMap { self.kind($0.storage) } ?? kind }

    /// Groups with their versions, the core group first.
    package var groups: [(name: String, versions: [String])] {
        var groups: [(name: String, versions: [String])] = []
        for kind in kinds {
            if let index = groups.firstIndex(where: { $0.name == kind.resource.group }) {
                if !groups[index].versions.contains(kind.resource.version) { groups[index].versions.append(kind.resource.version) }
            } else {
                groups.append((kind.resource.group, [kind.resource.version]))
            }
        }
        return groups
    }
}
