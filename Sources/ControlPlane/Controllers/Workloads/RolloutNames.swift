// Hashes that name a pod template, in the alphabet that forms no words, and a deployment's annotations.
internal import ClusterModel
internal import Essentials

enum TemplateHash {
    private static let alphabet = Array("bcdfghjklmnpqrstvwxz2456789".utf8)

    /// At most ten characters, all valid in names and labels.
    static func text(of template: JSON, collisions: Int? = nil) -> String {
        var hash: UInt32 = 2_166_136_261
        func add(_ bytes: some Sequence<UInt8>) { for byte in bytes { hash = (hash ^ UInt32(byte)) &* 16_777_619 } }
        add(canonical(template).bytes)
        if let collisions {
            let value = UInt32(truncatingIfNeeded: collisions)
            add((0..<8).map { $0 < 4 ? UInt8(truncatingIfNeeded: value >> ($0 * 8)) : 0 })
        }
        return String(decoding: String(hash).utf8.map { alphabet[Int($0) % alphabet.count] }, as: UTF8.self)
    }

    /// Members in the order of their names, so that equal documents have equal hashes.
    private static func canonical(_ value: JSON) -> JSON {
        switch value {
        case .object:
            var sorted: JSON = .emptyObject
            for (key, member) in value.members.sorted(by: { $0.key < $1.key }) { sorted[key] = canonical(member) }
            return sorted
        case .array(let elements): return .array(elements.map(canonical))
        default: return value
        }
    }
}

enum RolloutNames {
    static let hashLabel = "pod-template-hash"
    static let revision = "deployment.kubernetes.io/revision"
    static let revisionHistory = "deployment.kubernetes.io/revision-history"
    static let desiredReplicas = "deployment.kubernetes.io/desired-replicas"
    static let maxReplicas = "deployment.kubernetes.io/max-replicas"
    /// A history annotation longer than this loses its oldest entries, in characters.
    static let historyLimitCharacters = 2000

    /// Annotations of a deployment that its sets do not take over.
    static let ownOnly: Set<String> = [
        "kubectl.kubernetes.io/last-applied-configuration", revision, revisionHistory, desiredReplicas, maxReplicas,
        "deprecated.deployment.rollback.revision",
    ]

    static func revision(of object: JSON) -> Int {
        object["metadata"]?["annotations"]?[revision]?.string.flatMap { Int($0) } ?? 0
    }

    static func number(_ name: String, of set: JSON) -> Int? {
        set["metadata"]?["annotations"]?[name]?.string.flatMap { Int($0) }
    }

    /// The set's annotations as a deployment at `revision` wants them; a history grows when an old set is taken up again.
    static func annotations(of set: JSON, from deployment: JSON, revision number: Int, isNew: Bool) -> [String: String] {
        var result = set.metaAnnotations
        for (key, value) in deployment.metaAnnotations where !ownOnly.contains(key) { result[key] = value }
        let old = result[revision]
        if (old.flatMap { Int($0) } ?? 0) < number {
            result[revision] = String(number)
            if !isNew, let old {
                var history = (result[revisionHistory] ?? "").split(separator: ",").map(String.init) + [old]
                while history.joined(separator: ",").count > historyLimitCharacters { history.removeFirst() }
                result[revisionHistory] = history.joined(separator: ",")
            }
        }
        return result
    }
}
