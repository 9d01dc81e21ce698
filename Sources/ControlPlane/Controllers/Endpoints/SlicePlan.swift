// Spreads endpoints over slices so that as few slices change as can be: an endpoint stays in the slice it is in.
internal import ClusterModel
internal import Essentials

struct SlicePlan: Equatable {
    /// Endpoints in one slice at most.
    static let sliceLimitEndpoints = 100

    var create: [JSON] = []
    var update: [JSON] = []
    var delete: [JSON] = []

    /// `existing`: the slices there are for the service and family. `template`: a new slice without ports and endpoints.
    static func make(existing: [JSON], groups: [EndpointPlan.Group], template: JSON) -> SlicePlan {
        var plan = SlicePlan()
        var rest = existing.sorted { $0.metaName < $1.metaName }
        // A service with nothing behind it has one empty slice.
        let groups = groups.isEmpty ? [EndpointPlan.Group(ports: [], endpoints: [])] : groups
        for group in groups {
            let mine = rest.filter { samePorts($0["ports"], group.ports) }
            rest.removeAll { samePorts($0["ports"], group.ports) }
            place(group, mine, template, &plan)
        }
        plan.delete += rest
        return plan
    }

    private static func samePorts(_ ports: JSON?, _ wanted: [JSON]) -> Bool {
        let ports = ports?.array ?? []
        guard ports.count == wanted.count else { return false }
        return zip(ports, wanted).allSatisfy { $0.isSame(as: $1) }
    }

    private static func identity(_ endpoint: JSON) -> String {
        (endpoint["targetRef"]?["uid"]?.string ?? "") + "/" + (endpoint["addresses"]?[0]?.string ?? "")
    }

    private static func place(_ group: EndpointPlan.Group, _ slices: [JSON], _ template: JSON, _ plan: inout SlicePlan) {
        var wanted = Dictionary(group.endpoints.map { (identity($0), $0) }, uniquingKeysWith: { first, _ in first })
        var contents = slices.map { slice in
            (slice["endpoints"]?.array ?? []).compactMap { wanted.removeValue(forKey: identity($0)) }
        }
        var left = group.endpoints.filter { wanted[identity($0)] != nil }
        for index in contents.indices where !left.isEmpty {
            let room = max(0, sliceLimitEndpoints - contents[index].count)
            contents[index] += left.prefix(room)
            left.removeFirst(min(room, left.count))
        }
        let keepsEmpty = group.endpoints.isEmpty
        for (index, slice) in slices.enumerated() {
            if contents[index].isEmpty, !(keepsEmpty && index == 0) {
                plan.delete.append(slice)
                continue
            }
            var changed = slice
            changed["endpoints"] = JSON(contents[index])
            changed["ports"] = slice["ports"]
            for part in ["labels", "ownerReferences", "annotations"] {
                if let value = template["metadata"]?[part] { changed["metadata"]?[part] = value }
            }
            if !isEqual(changed, slice) { plan.update.append(changed) }
        }
        var isFirst = slices.isEmpty
        while !left.isEmpty || (isFirst && keepsEmpty) {
            var slice = template
            slice["endpoints"] = JSON(Array(left.prefix(sliceLimitEndpoints)))
            slice["ports"] = JSON(group.ports)
            plan.create.append(slice)
            left.removeFirst(min(sliceLimitEndpoints, left.count))
            isFirst = false
        }
    }

    private static func isEqual(_ left: JSON, _ right: JSON) -> Bool {
        func list(_ slice: JSON) -> JSON { slice["endpoints"] ?? JSON([JSON]()) }
        return list(left).isSame(as: list(right)) && left.metaLabels == right.metaLabels
            && (left["metadata"]?["ownerReferences"] ?? .null).isSame(as: right["metadata"]?["ownerReferences"] ?? .null)
    }
}
