// Fills in what a LimitRange gives containers by default, and refuses what it forbids.
internal import ClusterModel
internal import Essentials
internal import OrderedCollections

enum LimitRangeAdmission {
    static func admit(_ pod: inout JSON, _ request: AdmissionRequest) throws(ClusterProblem) {
        let ranges = request.list(.limitRanges, namespace: request.namespace)
        guard !ranges.isEmpty else { return }
        for range in ranges {
            for item in range["spec"]?["limits"]?.array ?? [] where item["type"] == "Container" {
                fill(&pod, from: item, range: range.metaName)
            }
        }
        var problems: [String] = []
        for range in ranges {
            for item in range["spec"]?["limits"]?.array ?? [] {
                switch item["type"]?.string {
                case "Container":
                    for list in ["initContainers", "containers"] {
                        for container in pod["spec"]?[list]?.array ?? [] {
                            problems += check(item, "Container", container["resources"]?["requests"], container["resources"]?["limits"])
                        }
                    }
                case "Pod":
                    let containers = pod["spec"]?["containers"]?.array ?? []
                    problems += check(item, "Pod", sum(containers, "requests"), sum(containers, "limits"))
                default: break
                }
            }
        }
        if !problems.isEmpty { throw request.forbidden(pod, text(problems)) }
    }

    static func admitClaim(_ claim: JSON, _ request: AdmissionRequest) throws(ClusterProblem) {
        var problems: [String] = []
        let requests = claim["spec"]?["resources"]?["requests"]
        for range in request.list(.limitRanges, namespace: request.namespace) {
            for item in range["spec"]?["limits"]?.array ?? [] where item["type"] == "PersistentVolumeClaim" {
                problems += check(item, "PersistentVolumeClaim", requests, requests)
            }
        }
        if !problems.isEmpty { throw request.forbidden(claim, text(problems)) }
    }

    private static func text(_ problems: [String]) -> String {
        problems.count == 1 ? problems[0] : "[" + problems.joined(separator: ", ") + "]"
    }

    private static func fill(_ pod: inout JSON, from item: JSON, range: String) {
        var notes: [String] = []
        for (list, kind) in [("containers", "container"), ("initContainers", "init container")] {
            guard var containers = pod["spec"]?[list]?.array else { continue }
            for index in containers.indices {
                for (part, source) in [("limits", "default"), ("requests", "defaultRequest")] {
                    var added: [String] = []
                    for (name, amount) in (item[source]?.members ?? []).sorted(by: { $0.key < $1.key })
                    where containers[index]["resources"]?[part]?[name] == nil {
                        // What is limited by the client is requested as much, not as the default says.
                        if part == "requests", let limit = containers[index]["resources"]?["limits"]?[name],
                            item["default"]?[name] != limit || item["defaultRequest"]?[name] == nil
                        {
                            containers[index][path: ["resources", part, name]] = limit
                            continue
                        }
                        containers[index][path: ["resources", part, name]] = amount
                        added.append(name)
                    }
                    if !added.isEmpty {
                        let what = part == "limits" ? "limit" : "request"
                        notes.append("\(added.joined(separator: ", ")) \(what) for \(kind) \(containers[index]["name"]?.string ?? "")")
                    }
                }
            }
            pod[path: ["spec", list]] = .array(containers)
        }
        guard !notes.isEmpty else { return }
        pod[path: ["metadata", "annotations", "kubernetes.io/limit-ranger"]] = JSON(
            "LimitRanger plugin set: " + notes.sorted().joined(separator: "; "))
    }

    private static func sum(_ containers: [JSON], _ part: String) -> JSON {
        var total: [String: Quantity] = [:]
        for container in containers {
            for (name, text) in container["resources"]?[part]?.strings ?? [:] {
                guard let amount = Quantity(text) else { continue }
                total[name] = total[name].map { $0 + amount } ?? amount
            }
        }
        return JSON(total.mapValues(\.description))
    }

    private static func check(_ item: JSON, _ type: String, _ requests: JSON?, _ limits: JSON?) -> [String] {
        var problems: [String] = []
        func amounts(_ name: String) -> (request: Quantity?, limit: Quantity?) {
            (requests?[name]?.string.flatMap(Quantity.init), limits?[name]?.string.flatMap(Quantity.init))
        }
        for (name, text) in (item["min"]?.strings ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let least = Quantity(text) else { continue }
            let (request, limit) = amounts(name)
            if let request {
                if request < least { problems.append("minimum \(name) usage per \(type) is \(least), but request is \(request)") }
                if let limit, limit < least { problems.append("minimum \(name) usage per \(type) is \(least), but limit is \(limit)") }
            } else {
                problems.append("minimum \(name) usage per \(type) is \(least).  No request is specified")
            }
        }
        for (name, text) in (item["max"]?.strings ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let most = Quantity(text) else { continue }
            let (request, limit) = amounts(name)
            if let limit {
                if limit > most { problems.append("maximum \(name) usage per \(type) is \(most), but limit is \(limit)") }
            } else if type != "PersistentVolumeClaim" {
                problems.append("maximum \(name) usage per \(type) is \(most).  No limit is specified")
            }
            if let request, request > most { problems.append("maximum \(name) usage per \(type) is \(most), but request is \(request)") }
        }
        for (name, text) in (item["maxLimitRequestRatio"]?.strings ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let most = Quantity(text) else { continue }
            let (request, limit) = amounts(name)
            guard let request, let limit, !request.isZero else {
                problems.append("\(name) max limit to request ratio per \(type) is \(most), but no request is specified or request is 0")
                continue
            }
            let ratio = Double(limit.milliValue) / Double(max(1, request.milliValue))
            if ratio * 1000 > Double(most.milliValue) {
                problems.append("\(name) max limit to request ratio per \(type) is \(most), but provided ratio is \(six(ratio))")
            }
        }
        return problems
    }

    /// With six digits after the point.
    private static func six(_ number: Double) -> String {
        let millionths = Int64((number * 1_000_000).rounded())
        let fraction = String(millionths % 1_000_000)
        return "\(millionths / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}
