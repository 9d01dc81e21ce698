// Gives services their addresses and ports.
//
// What is taken is what stored services say plus what writes under way have been given, looked at under one lock, so two
// creations at once cannot get the same.
internal import ClusterModel
internal import Essentials
internal import Synchronization

/// Addresses and ports promised to writes that are not stored yet, with the time until which the promise holds.
final class ServicePromises: Sendable {
    /// Seconds a promise holds; a write that takes longer has failed.
    static let seconds = 10.0
    private let taken = Mutex<[String: Timestamp]>([:])

    /// Takes the first of `candidates` that nobody was promised; `nil` where there is none.
    func take(_ candidates: some Sequence<String>, at now: Timestamp) -> String? {
        taken.withLock { taken in
            taken = taken.filter { now.since($0.value) < Self.seconds }
            guard let free = candidates.first(where: { taken[$0] == nil }) else { return nil }
            taken[free] = now
            return free
        }
    }

    func release(_ name: String) { _ = taken.withLock { $0.removeValue(forKey: name) } }
}

enum ServiceAllocation {
    /// Random tries before every address is looked at in turn.
    private static let randomTries = 64

    static func admit(_ service: inout JSON, _ request: AdmissionRequest) throws(ClusterProblem) {
        let type = service["spec"]?["type"]?.string ?? "ClusterIP"
        let oldType = request.old?["spec"]?["type"]?.string ?? "ClusterIP"
        if let old = request.old { keep(&service, from: old, type: type, oldType: oldType) }
        if type == "ExternalName" {
            for part in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
                service["spec"]?[part] = nil
            }
            return
        }
        let others = request.list(.services).filter { $0.metaUID != service.metaUID }
        try address(&service, others, request)
        let wantsPorts =
            type == "NodePort" || (type == "LoadBalancer" && service["spec"]?["allocateLoadBalancerNodePorts"]?.bool ?? true)
        try ports(&service, others, request, allocates: wantsPorts)
        if type == "LoadBalancer", service["spec"]?["externalTrafficPolicy"] == "Local" {
            try healthPort(&service, others, request)
        }
    }

    /// What a replaced service keeps although the client left it out, and what goes with its old type.
    private static func keep(_ service: inout JSON, from old: JSON, type: String, oldType: String) {
        if type != "ExternalName", oldType != "ExternalName" {
            if (service["spec"]?["clusterIP"]?.string ?? "").isEmpty {
                for part in ["clusterIP", "clusterIPs"] { service["spec"]?[part] = old["spec"]?[part] }
            }
            for part in ["ipFamilies", "ipFamilyPolicy"] where service["spec"]?[part] == nil { service["spec"]?[part] = old["spec"]?[part] }
        }
        let had = oldType == "NodePort" || oldType == "LoadBalancer"
        let has = type == "NodePort" || type == "LoadBalancer"
        guard var ports = service["spec"]?["ports"]?.array else { return }
        let before = old["spec"]?["ports"]?.array ?? []
        for index in ports.indices {
            let same = before.first {
                $0["port"] == ports[index]["port"] && ($0["protocol"] ?? "TCP") == (ports[index]["protocol"] ?? "TCP")
            }
            if has, had, (ports[index]["nodePort"]?.int ?? 0) == 0 { ports[index]["nodePort"] = same?["nodePort"] }
            if !has, had, ports[index]["nodePort"] == same?["nodePort"] { ports[index]["nodePort"] = nil }
        }
        service["spec"]?["ports"] = .array(ports)
        if type != "LoadBalancer" { service["spec"]?["allocateLoadBalancerNodePorts"] = nil }
    }

    private static func address(_ service: inout JSON, _ others: [JSON], _ request: AdmissionRequest) throws(ClusterProblem) {
        var wanted = service["spec"]?["clusterIP"]?.string ?? ""
        if wanted.isEmpty { wanted = service["spec"]?["clusterIPs"]?[0]?.string ?? "" }
        service[path: ["spec", "ipFamilies"]] = service["spec"]?["ipFamilies"] ?? ["IPv4"]
        service[path: ["spec", "ipFamilyPolicy"]] = service["spec"]?["ipFamilyPolicy"] ?? "SingleStack"
        if wanted == "None" {
            service[path: ["spec", "clusterIP"]] = "None"
            service[path: ["spec", "clusterIPs"]] = ["None"]
            return
        }
        if let old = request.old, old["spec"]?["clusterIP"]?.string == wanted, !wanted.isEmpty {
            service[path: ["spec", "clusterIP"]] = JSON(wanted)
            service[path: ["spec", "clusterIPs"]] = [JSON(wanted)]
            return
        }
        guard let range = AddressRange(request.settings.serviceRange) else { return }
        let taken = Set(others.flatMap { $0["spec"]?["clusterIPs"]?.array?.compactMap(\.string) ?? [] })
        let now = request.server.clock.now()
        let promises = request.server.promises
        if wanted.isEmpty {
            // The lower part is left to those who ask for an address by name.
            let start = min(256, range.count / 16) + 1
            let random = (0..<randomTries).lazy.map { _ in range[UInt32.random(in: UInt32(start)..<UInt32(range.count - 1))] }
            let inTurn = (1..<range.count - 1).lazy.map { range[UInt32($0)] }
            let free =
                promises.take(random.filter { !taken.contains($0) }, at: now)
                ?? promises.take(inTurn.filter { !taken.contains($0) }, at: now)
            guard let free else { throw .internalError("failed to allocate a serviceIP: range is full") }
            wanted = free
        } else {
            func refuse(_ why: String) -> ClusterProblem {
                .invalid(
                    group: "", kind: "Service", name: service.metaName,
                    [.invalid("spec.clusterIPs", "[\"\(wanted)\"]", "failed to allocate IP \(wanted): \(why)")])
            }
            guard range.contains(wanted) else {
                throw refuse(
                    "the provided IP (\(wanted)) is not in the valid range. The range of valid IPs is \(request.settings.serviceRange)")
            }
            guard !taken.contains(wanted), promises.take([wanted], at: now) != nil else {
                throw refuse("provided IP is already allocated")
            }
        }
        service[path: ["spec", "clusterIP"]] = JSON(wanted)
        service[path: ["spec", "clusterIPs"]] = [JSON(wanted)]
    }

    private static func ports(_ service: inout JSON, _ others: [JSON], _ request: AdmissionRequest, allocates: Bool) throws(ClusterProblem)
    {
        guard var ports = service["spec"]?["ports"]?.array else { return }
        var taken = Set(others.flatMap(nodePorts))
        let own = Set(request.old.map(nodePorts) ?? [])
        for index in ports.indices {
            let proto = ports[index]["protocol"]?.string ?? "TCP"
            let wanted = ports[index]["nodePort"]?.int ?? 0
            if wanted > 0 {
                let field = "spec.ports[\(index)].nodePort"
                func refuse(_ why: String) -> ClusterProblem {
                    .invalid(group: "", kind: "Service", name: service.metaName, [.invalid(field, String(wanted), why)])
                }
                let name = "\(proto)/\(wanted)"
                guard !own.contains(name) else { continue }
                guard request.settings.nodePorts.contains(wanted) else {
                    throw refuse(
                        "provided port is not in the valid range. The range of valid ports is \(request.settings.nodePorts.lowerBound)-\(request.settings.nodePorts.upperBound)"
                    )
                }
                guard !taken.contains(name), request.server.promises.take([name], at: request.server.clock.now()) != nil else {
                    throw refuse("provided port is already allocated")
                }
                taken.insert(name)
            } else if allocates {
                // The same number for TCP and UDP of one port, as DNS has it.
                let twin = ports.first { $0["port"] == ports[index]["port"] && ($0["nodePort"]?.int ?? 0) > 0 }?["nodePort"]?.int
                guard let port = free(proto, first: twin, taken, request) else {
                    throw .internalError("failed to allocate a nodePort: range is full")
                }
                ports[index]["nodePort"] = JSON(port)
                taken.insert("\(proto)/\(port)")
            }
        }
        service["spec"]?["ports"] = .array(ports)
    }

    private static func free(_ proto: String, first: Int?, _ taken: Set<String>, _ request: AdmissionRequest) -> Int? {
        let range = request.settings.nodePorts
        let candidates = [first].compactMap { $0 } + (0..<randomTries).map { _ in Int.random(in: range) } + Array(range)
        let name = request.server.promises.take(
            candidates.lazy.map { "\(proto)/\($0)" }.filter { !taken.contains($0) }, at: request.server.clock.now())
        return name.flatMap { Int($0.split(separator: "/").last ?? "") }
    }

    private static func healthPort(_ service: inout JSON, _ others: [JSON], _ request: AdmissionRequest) throws(ClusterProblem) {
        if let kept = request.old?["spec"]?["healthCheckNodePort"], (service["spec"]?["healthCheckNodePort"]?.int ?? 0) == 0 {
            service["spec"]?["healthCheckNodePort"] = kept
        }
        guard (service["spec"]?["healthCheckNodePort"]?.int ?? 0) == 0 else { return }
        let taken = Set(others.flatMap(nodePorts) + nodePorts(service))
        guard let port = free("TCP", first: nil, taken, request) else {
            throw .internalError("failed to allocate a healthCheckNodePort: range is full")
        }
        service[path: ["spec", "healthCheckNodePort"]] = JSON(port)
    }

    private static func nodePorts(_ service: JSON) -> [String] {
        var ports = (service["spec"]?["ports"]?.array ?? []).compactMap { port in
            port["nodePort"]?.int.flatMap { $0 > 0 ? "\(port["protocol"]?.string ?? "TCP")/\($0)" : nil }
        }
        if let health = service["spec"]?["healthCheckNodePort"]?.int, health > 0 { ports.append("TCP/\(health)") }
        return ports
    }
}

/// An IPv4 network, such as 10.96.0.0/12.
struct AddressRange: Sendable {
    let base: UInt32
    let count: Int

    init?(_ text: String) {
        let halves = text.split(separator: "/")
        guard halves.count == 2, let bits = Int(halves[1]), (8...30).contains(bits), let base = Self.number(String(halves[0])) else {
            return nil
        }
        count = 1 << (32 - bits)
        self.base = base & ~UInt32(count - 1)
    }

    subscript(offset: UInt32) -> String {
        let value = base + offset
        return "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    }

    func contains(_ text: String) -> Bool {
        guard let value = Self.number(text), value > base else { return false }
        return value - base < UInt32(count - 1)
    }

    private static func number(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) }
        guard parts.count == 4, parts.allSatisfy({ $0 != nil && $0 ?? 256 < 256 }) else { return nil }
        return parts.reduce(0) { $0 << 8 | ($1 ?? 0) }
    }
}
