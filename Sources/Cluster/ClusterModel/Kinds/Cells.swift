// What many kinds show in tables.
internal import Essentials
internal import OrderedCollections

enum Cells {
    static let none = "<none>"

    static func text(_ value: JSON?, or fallback: String = none) -> JSON {
        JSON(value?.string.flatMap { $0.isEmpty ? nil : $0 } ?? fallback)
    }

    static func number(_ value: JSON?) -> JSON { JSON(value?.integer ?? 0) }

    static func age(_ object: JSON, _ now: Timestamp) -> JSON { JSON(Age.text(of: object, at: now)) }

    static func created(_ object: JSON) -> JSON { text(object["metadata"]?["creationTimestamp"], or: "<unknown>") }

    static func flag(_ value: JSON?) -> JSON { JSON(value?.bool ?? false) }

    /// `app=web,tier=front`
    static func labels(_ labels: JSON?) -> JSON {
        let pairs = (labels?.strings ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return JSON(pairs.isEmpty ? none : pairs.joined(separator: ","))
    }

    static func selector(_ selector: JSON?) -> JSON { JSON(SelectorText.text(selector)) }

    /// Names and images of the containers of a pod template.
    static func containers(_ template: JSON?) -> [JSON] {
        let containers = template?["spec"]?["containers"]?.array ?? []
        return ["name", "image"].map { part in JSON(containers.compactMap { $0[part]?.string }.joined(separator: ",")) }
    }

    /// A number or a percentage as it was written.
    static func numberOrPercent(_ value: JSON?, or fallback: String) -> JSON {
        if let number = value?.integer { return JSON(String(number)) }
        return text(value, or: fallback)
    }

    static func count(_ value: JSON?) -> Int { value?.array?.count ?? 0 }

    /// The first few, and how many more there are.
    static func list(_ parts: [String], limit: Int = 3, empty: String) -> JSON {
        if parts.isEmpty { return JSON(empty) }
        let first = parts.prefix(limit).joined(separator: ",")
        return JSON(parts.count > limit ? "\(first) + \(parts.count - limit) more..." : first)
    }

    static func accessModes(_ modes: JSON?) -> String {
        let short = ["ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"]
        let named = (modes?.array ?? []).compactMap(\.string)
        return ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"].filter(named.contains).compactMap { short[$0] }
            .joined(separator: ",")
    }

    static let containerColumns = [Column("Containers", wide: true), Column("Images", wide: true)]
}
