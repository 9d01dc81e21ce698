// Values as upstream's sentences print them (`%#v` of Go), for errors that name a whole value.
internal import Essentials
internal import OrderedCollections

enum GoText {
    static func quote(_ text: String) -> String { JSON(text).text }

    static func strings(_ map: JSON?) -> String {
        guard let map = map?.strings else { return "map[string]string(nil)" }
        let pairs = map.sorted { $0.key < $1.key }.map { "\(quote($0.key)):\(quote($0.value))" }
        return "map[string]string{\(pairs.joined(separator: ", "))}"
    }

    static func labelSelector(_ selector: JSON?) -> String {
        let labels = strings(selector?["matchLabels"])
        var requirements = "[]v1.LabelSelectorRequirement(nil)"
        if let expressions = selector?["matchExpressions"]?.array {
            let parts = expressions.map { expression in
                let values = expression["values"]?.array.map { values in
                    "[]string{\(values.compactMap(\.string).map(quote).joined(separator: ", "))}"
                }
                return
                    "v1.LabelSelectorRequirement{Key:\(quote(expression["key"]?.string ?? "")), Operator:\(quote(expression["operator"]?.string ?? "")), Values:\(values ?? "[]string(nil)")}"
            }
            requirements = "[]v1.LabelSelectorRequirement{\(parts.joined(separator: ", "))}"
        }
        return "v1.LabelSelector{MatchLabels:\(labels), MatchExpressions:\(requirements)}"
    }

    static func numberOrText(_ value: JSON?) -> String {
        if let text = value?.string { return "intstr.IntOrString{Type:1, IntVal:0, StrVal:\(quote(text))}" }
        return "intstr.IntOrString{Type:0, IntVal:\(value?.integer ?? 0), StrVal:\"\"}"
    }

    /// Any other value, as JSON.
    static func any(_ value: JSON?) -> String {
        guard let value, !value.isNull else { return "null" }
        return value.text
    }
}
