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
