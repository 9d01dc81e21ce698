// What a Service's Endpoints and EndpointSlices are to say, from its spec and the pods it selects.
internal import ClusterModel
internal import Essentials

enum EndpointPlan {
    static let headlessLabel = "service.kubernetes.io/headless"

    /// The service's labels without what belongs to slices, and a mark where it has no address of its own.
    static func labels(_ service: JSON) -> [String: String] {
        var labels = service.metaLabels.filter { key, _ in
            ![headlessLabel, "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"].contains(key)
        }
        if isHeadless(service) { labels[headlessLabel] = "" }
        return labels
    }

    static func isHeadless(_ service: JSON) -> Bool { service["spec"]?["clusterIP"]?.string == "None" }

    /// The labels that select a service's pods; `nil` where the service selects none or is only a name.
    static func selector(_ service: JSON) -> [String: String]? {
        let labels = service["spec"]?["selector"]?.strings ?? [:]
        return labels.isEmpty || service["spec"]?["type"]?.string == "ExternalName" ? nil : labels
    }

    static func selects(_ selector: [String: String], _ pod: JSON) -> Bool {
        let labels = pod.metaLabels
        return selector.allSatisfy { labels[$0.key] == $0.value }
    }

    /// All of a pod that endpoints depend on: what else changes concerns no service.
    static func facts(_ pod: JSON) -> JSON {
        [
            "labels": JSON(pod.metaLabels), "uid": JSON(pod.metaUID), "ip": pod["status"]?["podIP"] ?? .null,
            "ips": pod["status"]?["podIPs"] ?? .null, "ready": JSON(PodFacts.isReady(pod)), "ends": JSON(pod.isBeingDeleted),
            "ended": JSON(PodUse.hasEnded(pod)), "node": JSON(PodFacts.node(pod)), "hostname": pod["spec"]?["hostname"] ?? .null,
            "subdomain": pod["spec"]?["subdomain"] ?? .null,
        ]
    }

    /// The pod's address of a family.
    static func address(_ pod: JSON, isIPv6: Bool) -> String? {
        var all = (pod["status"]?["podIPs"]?.array ?? []).compactMap { $0["ip"]?.string }
        if let first = pod["status"]?["podIP"]?.string, !all.contains(first) { all.insert(first, at: 0) }
        return all.first { $0.contains(":") == isIPv6 && !$0.isEmpty }
    }

    /// The pod's name within a headless service, where it has one.
    static func hostname(_ pod: JSON, _ service: JSON) -> String? {
        guard let hostname = pod["spec"]?["hostname"]?.string, !hostname.isEmpty,
            pod["spec"]?["subdomain"]?.string == service.metaName, pod.metaNamespace == service.metaNamespace
        else { return nil }
        return hostname
    }

    /// The number that a service's port means in a pod; `nil` where the pod names no such port.
    static func number(_ port: JSON, in pod: JSON) -> Int? {
        let target = port["targetPort"] ?? .null
        if let number = target.int { return number == 0 ? port["port"]?.int : number }
        guard let name = target.string, !name.isEmpty else { return port["port"]?.int }
        let wanted = port["protocol"]?.string ?? "TCP"
        let sidecars = (pod["spec"]?["initContainers"]?.array ?? []).filter { $0["restartPolicy"] == "Always" }
        for container in (pod["spec"]?["containers"]?.array ?? []) + sidecars {
            for candidate in container["ports"]?.array ?? []
            where candidate["name"]?.string == name && candidate["protocol"]?.string ?? "TCP" == wanted {
                return candidate["containerPort"]?.int
            }
        }
        return nil
    }

    /// The ports as they are in one pod; a port that the pod does not name is left out.
    static func ports(_ service: JSON, in pod: JSON) -> [JSON] {
        (service["spec"]?["ports"]?.array ?? []).compactMap { port in
            guard let number = number(port, in: pod) else { return nil }
            var result: JSON = [
                "name": JSON(port["name"]?.string ?? ""), "port": JSON(number), "protocol": JSON(port["protocol"]?.string ?? "TCP"),
            ]
            if let application = port["appProtocol"]?.string { result["appProtocol"] = JSON(application) }
            return result
        }
    }

    static func reference(_ pod: JSON) -> JSON {
        ["kind": "Pod", "namespace": JSON(pod.metaNamespace), "name": JSON(pod.metaName), "uid": JSON(pod.metaUID)]
    }

    /// The `subsets` of the Endpoints object: pods with the same ports together.
    static func subsets(_ service: JSON, pods: [JSON]) -> [JSON] {
        let publishesAll = service["spec"]?["publishNotReadyAddresses"] == true
        let isIPv6 = service["spec"]?["ipFamilies"]?[0]?.string == "IPv6"
        let hasPorts = !(service["spec"]?["ports"]?.array ?? []).isEmpty
        guard hasPorts || isHeadless(service) else { return [] }
        var groups: [(ports: [JSON], ready: [JSON], waiting: [JSON])] = []
        for pod in pods.sorted(by: { $0.metaName < $1.metaName }) {
            guard let ip = address(pod, isIPv6: isIPv6), !PodUse.hasEnded(pod), publishesAll || !pod.isBeingDeleted else { continue }
            var entry: JSON = ["ip": JSON(ip)]
            if let hostname = hostname(pod, service) { entry["hostname"] = JSON(hostname) }
            if !PodFacts.node(pod).isEmpty { entry["nodeName"] = JSON(PodFacts.node(pod)) }
            entry["targetRef"] = reference(pod)
            // Endpoints leave a port without a name nameless, where slices say "".
            let ports = ports(service, in: pod).map { port in
                var port = port
                if port["name"] == "" { port["name"] = nil }
                return port
            }
            if hasPorts, ports.isEmpty { continue }
            let index = groups.firstIndex { $0.ports == ports } ?? groups.count
            if index == groups.count { groups.append((ports, [], [])) }
            if publishesAll || PodFacts.isReady(pod) { groups[index].ready.append(entry) } else { groups[index].waiting.append(entry) }
        }
        return groups.map { group in
            var subset: JSON = .emptyObject
            if !group.ready.isEmpty { subset["addresses"] = JSON(group.ready) }
            if !group.waiting.isEmpty { subset["notReadyAddresses"] = JSON(group.waiting) }
            if !group.ports.isEmpty { subset["ports"] = JSON(group.ports) }
            return subset
        }
    }

    /// One entry of a slice.
    static func endpoint(_ service: JSON, _ pod: JSON, address: String, zone: String?) -> JSON {
        let isReady = PodFacts.isReady(pod)
        let publishesAll = service["spec"]?["publishNotReadyAddresses"] == true
        var entry: JSON = [
            "addresses": [JSON(address)],
            "conditions": [
                "ready": JSON(publishesAll || (isReady && !pod.isBeingDeleted)), "serving": JSON(isReady),
                "terminating": JSON(pod.isBeingDeleted),
            ],
        ]
        if let hostname = hostname(pod, service) { entry["hostname"] = JSON(hostname) }
        entry["targetRef"] = reference(pod)
        if !PodFacts.node(pod).isEmpty { entry["nodeName"] = JSON(PodFacts.node(pod)) }
        if let zone { entry["zone"] = JSON(zone) }
        return entry
    }

    struct Group: Equatable {
        var ports: [JSON]
        var endpoints: [JSON]
    }

    /// The endpoints of one address family, by the ports they have.
    static func groups(_ service: JSON, pods: [JSON], isIPv6: Bool, zone: (String) -> String?) -> [Group] {
        var groups: [Group] = []
        for pod in pods.sorted(by: { $0.metaName < $1.metaName }) {
            guard let ip = address(pod, isIPv6: isIPv6), !PodUse.hasEnded(pod) else { continue }
            let ports = ports(service, in: pod)
            let entry = endpoint(service, pod, address: ip, zone: zone(PodFacts.node(pod)))
            if let index = groups.firstIndex(where: { $0.ports == ports }) {
                groups[index].endpoints.append(entry)
            } else {
                groups.append(Group(ports: ports, endpoints: [entry]))
            }
        }
        return groups
    }
}
