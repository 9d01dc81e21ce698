// What the orchestrator's objects are: names of kinds, requests and answers, errors, and (in Schema/) the truth about each kind.
//
// May touch: nothing but memory. Callers: everything that speaks the Kubernetes API, on either side.
// To add a kind, change Schema/Kinds*.swift only; discovery, decoding, tables and OpenAPI follow from it.

/// A resource as URLs name it: `pods` in version `v1` of the core group "".
package struct GroupVersionResource: Sendable, Hashable, CustomStringConvertible {
    package let group: String
    package let version: String
    package let resource: String

    package init(group: String = "", version: String, resource: String) {
        self.group = group
        self.version = version
        self.resource = resource
    }

    package static let namespaces = GroupVersionResource(version: "v1", resource: "namespaces")
    package static let nodes = GroupVersionResource(version: "v1", resource: "nodes")
    package static let pods = GroupVersionResource(version: "v1", resource: "pods")
    package static let events = GroupVersionResource(version: "v1", resource: "events")
    package static let configMaps = GroupVersionResource(version: "v1", resource: "configmaps")
    package static let secrets = GroupVersionResource(version: "v1", resource: "secrets")
    package static let resourceQuotas = GroupVersionResource(version: "v1", resource: "resourcequotas")
    package static let networkPolicies = GroupVersionResource(group: "networking.k8s.io", version: "v1", resource: "networkpolicies")
    package static let leases = GroupVersionResource(group: "coordination.k8s.io", version: "v1", resource: "leases")

    /// `v1` or `networking.k8s.io/v1`, as `apiVersion` says it.
    package var apiVersion: String { group.isEmpty ? version : group + "/" + version }

    /// `/api/v1` or `/apis/networking.k8s.io/v1`.
    package var root: String { group.isEmpty ? "/api/" + version : "/apis/" + group + "/" + version }

    package var description: String { group.isEmpty ? resource : resource + "." + group }

    /// The path of the collection, or of one object or subresource. Parts are escaped as needed.
    package func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = root
        if let namespace { path += "/namespaces/" + PathText.escape(namespace) }
        path += "/" + resource
        if let name { path += "/" + PathText.escape(name) }
        if let subresource { path += "/" + subresource }
        return path
    }
}

/// Percent-encoding of path and query parts (RFC 3986).
package enum PathText {
    package static func escape(_ text: String) -> String {
        guard !text.utf8.allSatisfy(isPlain) else { return text }
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if isPlain(byte) {
                bytes.append(byte)
            } else {
                bytes.append(contentsOf: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `nil` where a `%` is not followed by two hexadecimal digits or the result is not UTF-8.
    package static func unescape(_ text: String) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
