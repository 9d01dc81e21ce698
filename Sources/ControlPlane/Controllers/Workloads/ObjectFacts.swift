// What controllers read in every object: spec, owners, conditions, times.
internal import ClusterModel
internal import Essentials

extension JSON {
    var spec: JSON { self["spec"] ?? .null }
    var statusPart: JSON { self["status"] ?? .null }
    var owners: [JSON] { self["metadata"]?["ownerReferences"]?.array ?? [] }
    /// The owner that manages this object.
    var controllerOwner: JSON? { owners.first { $0["controller"] == true } }
    var controllerUID: String? { controllerOwner?["uid"]?.string }
    var generation: Int { self["metadata"]?["generation"]?.int ?? 0 }
    var created: Timestamp { self["metadata"]?["creationTimestamp"]?.time ?? Timestamp(seconds: 0) }

    /// This value as a moment.
    var time: Timestamp? { string.flatMap(Timestamp.init(rfc3339:)) }

    func condition(_ type: String) -> JSON? { statusPart["conditions"]?.array?.first { $0["type"]?.string == type } }
    func hasCondition(_ type: String) -> Bool { condition(type)?["status"] == "True" }

    /// A number in the spec.
    func specInt(_ name: String) -> Int? { self["spec"]?[name]?.int }
    /// A number in the status; none counts as 0.
    func statusInt(_ name: String) -> Int { self["status"]?[name]?.int ?? 0 }
}

/// The kind of an owner, as references name it.
struct OwnerKind: Sendable {
    let resource: GroupVersionResource
    let kind: String

    func isOwner(_ reference: JSON) -> Bool {
        guard reference["kind"]?.string == kind else { return false }
        let group = reference["apiVersion"]?.string?.split(separator: "/", maxSplits: 1).map(String.init) ?? []
        return (group.count == 2 ? group[0] : "") == resource.group
    }

    /// The reference by which `owner` controls another object.
    func controllerReference(to owner: JSON) -> JSON {
        [
            "apiVersion": JSON(resource.apiVersion), "kind": JSON(kind), "name": JSON(owner.metaName), "uid": JSON(owner.metaUID),
            "controller": true, "blockOwnerDeletion": true,
        ]
    }
}

/// A number, or a percentage of a total.
enum IntOrPercent {
    /// Reads `3` or `"25%"`; `nil` where it is neither.
    static func resolve(_ value: JSON?, of total: Int, roundUp: Bool) -> Int? {
        guard let value else { return nil }
        if let number = value.int { return number }
        guard let text = value.string, text.hasSuffix("%"), let percent = Int(text.dropLast()) else { return nil }
        let product = percent * total
        return roundUp ? (product + 99) / 100 : product / 100
    }
}

/// Order by age; of the same age, by name.
func isOlder(_ left: JSON, _ right: JSON) -> Bool {
    let (one, two) = (left.created, right.created)
    return one == two ? left.metaName < right.metaName : one < two
}

/// Conditions of a status, with upstream's rules for their times.
struct Conditions {
    var list: [JSON]

    init(_ status: JSON) { list = status["conditions"]?.array ?? [] }

    func find(_ type: String) -> JSON? { list.first { $0["type"]?.string == type } }
    mutating func remove(_ type: String) { list.removeAll { $0["type"]?.string == type } }

    /// Sets a condition; the time of its last transition stays while its status does. The same status and reason change nothing.
    mutating func set(_ type: String, _ status: String, _ reason: String, _ message: String, at now: Timestamp, hasUpdateTime: Bool = false)
    {
        let old = find(type)
        if old?["status"]?.string == status, old?["reason"]?.string == reason { return }
        var condition: JSON = ["type": JSON(type), "status": JSON(status)]
        if hasUpdateTime { condition["lastUpdateTime"] = JSON(now.rfc3339) }
        let sameStatus = old?["status"]?.string == status
        condition["lastTransitionTime"] = sameStatus ? old?["lastTransitionTime"] ?? JSON(now.rfc3339) : JSON(now.rfc3339)
        if !reason.isEmpty { condition["reason"] = JSON(reason) }
        if !message.isEmpty { condition["message"] = JSON(message) }
        remove(type)
        list.append(condition)
    }

    var document: JSON? { list.isEmpty ? Optional<JSON>.none : JSON(list) }
}
