// Short names for what every object carries in `metadata`.
package import Essentials

extension JSON {
    package var metaName: String { self["metadata"]?["name"]?.string ?? "" }
    package var metaNamespace: String? { self["metadata"]?["namespace"]?.string }
    package var metaUID: String { self["metadata"]?["uid"]?.string ?? "" }
    package var metaResourceVersion: String { self["metadata"]?["resourceVersion"]?.string ?? "" }
    package var metaLabels: [String: String] { self["metadata"]?["labels"]?.strings ?? [:] }
    package var metaAnnotations: [String: String] { self["metadata"]?["annotations"]?.strings ?? [:] }
    package var metaFinalizers: [String] { self["metadata"]?["finalizers"]?.array?.compactMap(\.string) ?? [] }
    package var isBeingDeleted: Bool { self["metadata"]?["deletionTimestamp"]?.string != nil }

    /// `namespace/name`, or `name` of a cluster-wide object: the key of informers and work queues.
    package var objectKey: String { metaNamespace.map { $0 + "/" + metaName } ?? metaName }
}

extension JSON {
    private static let slimMembers = [
        "name", "namespace", "uid", "resourceVersion", "ownerReferences", "finalizers", "deletionTimestamp",
    ]

    /// An object with nothing but what tells who it is, whose it is and whether it is going.
    package var slimMetadata: JSON {
        var metadata: JSON = .emptyObject
        for name in Self.slimMembers { if let value = self["metadata"]?[name] { metadata[name] = value } }
        return ["metadata": metadata]
    }
}
