// The kinds that a lab's own cluster serves.

extension Schema {
    /// Every kind of a lab's cluster. To add one, see `Kinds/` and add it here.
    package static let cluster = Schema(kinds: [
        .namespace, .node, .pod, .event, .configMap, .secret, .resourceQuota, .lease, .networkPolicy,
    ])
}
