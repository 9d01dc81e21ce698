// Decides which nodes run a DaemonSet's pod, what is to be made or deleted now, and what the status is.
internal import ClusterModel
internal import Essentials

/// A DaemonSet with the nodes and pods of one moment.
struct DaemonDecision {
    static let hashLabel = "controller-revision-hash"
    static let generationLabel = "pod-template-generation"

    let set: JSON
    let nodes: [JSON]
    /// Pods of the set by the node they run on or are meant for.
    let podsByNode: [String: [JSON]]
    /// The hash of the template that pods should have.
    let hash: String
    let now: Timestamp

    struct Work: Equatable {
        var create: [String] = []
        var delete: [JSON] = []
        /// Ended pods among those to delete, of which events tell.
        var failed: [JSON] = []
        var succeeded: [JSON] = []
    }

    init(set: JSON, nodes: [JSON], pods: [JSON], hash: String, now: Timestamp) {
        self.set = set
        self.nodes = nodes.sorted { $0.metaName < $1.metaName }
        self.hash = hash
        self.now = now
        podsByNode = Dictionary(grouping: pods.filter { !($0.isBeingDeleted && PodUse.hasEnded($0)) }, by: Self.target)
    }

    /// The node that a pod runs on, or the one its affinity names.
    static func target(_ pod: JSON) -> String {
        let node = PodFacts.node(pod)
        if !node.isEmpty { return node }
        let path = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]
        for term in pod[path: path]?.array ?? [] {
            for field in term["matchFields"]?.array ?? [] where field["key"] == "metadata.name" && field["operator"] == "In" {
                if let name = field["values"]?[0]?.string { return name }
            }
        }
        return ""
    }

    private var minReady: Int { self.set.specInt("minReadySeconds") ?? 0 }
    private func isAvailable(_ pod: JSON) -> Bool { PodFacts.isAvailable(pod, minReadySeconds: minReady, at: now) }
    private func isUpdated(_ pod: JSON) -> Bool { pod["metadata"]?["labels"]?[Self.hashLabel]?.string == hash }

    /// Whether the node is to get a pod, and whether one that is there may stay.
    func place(on node: JSON) -> (runs: Bool, stays: Bool) {
        var spec = set["spec"]?["template"]?["spec"] ?? .emptyObject
        spec["tolerations"] = JSON((spec["tolerations"]?.array ?? []) + Self.tolerations(spec))
        guard NodeFit.selects(spec, node) else { return (false, false) }
        if NodeFit.tolerates(spec, node, effects: ["NoSchedule", "NoExecute"]) { return (true, true) }
        return (false, NodeFit.tolerates(spec, node, effects: ["NoExecute"]))
    }

    /// A daemon stays through what drives other pods away.
    static func tolerations(_ spec: JSON) -> [JSON] {
        func one(_ key: String, _ effect: String) -> JSON {
            ["key": JSON("node.kubernetes.io/" + key), "operator": "Exists", "effect": JSON(effect)]
        }
        var list = [
            one("not-ready", "NoExecute"), one("unreachable", "NoExecute"), one("disk-pressure", "NoSchedule"),
            one("memory-pressure", "NoSchedule"), one("pid-pressure", "NoSchedule"), one("unschedulable", "NoSchedule"),
        ]
        if spec["hostNetwork"] == true { list.append(one("network-unavailable", "NoSchedule")) }
        return list
    }

    /// The pod for one node.
    static func pod(_ set: JSON, node: String, hash: String, kind: OwnerKind) -> JSON {
        var pod = PodMaker.pod(from: set["spec"]?["template"] ?? .emptyObject, owner: set, kind: kind)
        pod[path: ["metadata", "labels", hashLabel]] = JSON(hash)
        pod[path: ["metadata", "labels", generationLabel]] = JSON(
            set.metaAnnotations["deprecated.daemonset.template.generation"] ?? String(set.generation))
        var tolerations = pod.spec["tolerations"]?.array ?? []
        for extra in Self.tolerations(pod.spec) {
            tolerations.removeAll { $0["key"] == extra["key"] && $0["effect"] == extra["effect"] && $0["operator"] == extra["operator"] }
            tolerations.append(extra)
        }
        pod[path: ["spec", "tolerations"]] = JSON(tolerations)
        let term: JSON = ["matchFields": [["key": "metadata.name", "operator": "In", "values": [JSON(node)]]]]
        let path = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"]
        pod[path: path] = ["nodeSelectorTerms": [term]]
        return pod
    }

    /// How many pods may surge and may be missing during an update.
    func limits() -> (surge: Int, unavailable: Int) {
        let desired = nodes.count { place(on: $0).runs }
        let rolling = set["spec"]?["updateStrategy"]?["rollingUpdate"]
        guard desired > 0 else { return (0, 0) }
        let surge = IntOrPercent.resolve(rolling?["maxSurge"] ?? 0, of: desired, roundUp: true) ?? 0
        let unavailable = IntOrPercent.resolve(rolling?["maxUnavailable"] ?? 1, of: desired, roundUp: true) ?? 1
        return surge == 0 && unavailable == 0 ? (0, 1) : (surge, unavailable)
    }

    private var isRolling: Bool { self.set["spec"]?["updateStrategy"]?["type"]?.string ?? "RollingUpdate" == "RollingUpdate" }
    private var allowsSurge: Bool {
        guard isRolling, let surge = set["spec"]?["updateStrategy"]?["rollingUpdate"]?["maxSurge"] else { return false }
        return IntOrPercent.resolve(surge, of: 100, roundUp: true) ?? 0 > 0
    }

    /// Brings each node to one pod, or none.
    func upkeep() -> Work {
        var work = Work()
        for node in nodes {
            let (runs, stays) = place(on: node)
            let pods = podsByNode[node.metaName] ?? []
            if runs, pods.isEmpty {
                work.create.append(node.metaName)
            } else if stays {
                prune(pods, &work)
            } else {
                work.delete += pods.filter { !$0.isBeingDeleted }
            }
        }
        let names = Set(nodes.map(\.metaName))
        for (name, pods) in podsByNode where !names.contains(name) {
            work.delete += pods.filter { PodFacts.node($0).isEmpty && !$0.isBeingDeleted }
        }
        return work
    }

    private func prune(_ pods: [JSON], _ work: inout Work) {
        var running: [JSON] = []
        for pod in pods where !pod.isBeingDeleted {
            switch PodFacts.phase(pod) {
            case "Failed":
                work.failed.append(pod)
                work.delete.append(pod)
            case "Succeeded":
                work.succeeded.append(pod)
                work.delete.append(pod)
            default: running.append(pod)
            }
        }
        guard running.count > 1 else { return }
        running.sort { left, right in
            if PodFacts.node(left).isEmpty != PodFacts.node(right).isEmpty { return !PodFacts.node(left).isEmpty }
            return isOlder(left, right)
        }
        guard allowsSurge else {
            work.delete += running.dropFirst()
            return
        }
        let new = running.first(where: isUpdated)
        let old = running.first { !isUpdated($0) }
        work.delete += running.filter { $0.metaUID != new?.metaUID && $0.metaUID != old?.metaUID }
        if let new, let old, !PodFacts.isReady(old) || isAvailable(new) { work.delete.append(old) }
    }

    /// The one new and the one old pod of a node; `nil` where there are more, which upkeep settles.
    private func pair(_ pods: [JSON]) -> (new: JSON?, old: JSON?)? {
        let living = pods.filter { !$0.isBeingDeleted }
        let new = living.filter(isUpdated)
        let old = living.filter { !isUpdated($0) }
        return new.count > 1 || old.count > 1 ? nil : (new.first, old.first)
    }

    /// Replaces pods of old templates, as far as the strategy allows now.
    func update() -> Work {
        guard isRolling else { return Work() }
        let limits = limits()
        let wanted = nodes.filter { place(on: $0).runs }.map(\.metaName)
        return limits.surge == 0 ? replace(wanted, limits.unavailable) : surge(wanted, limits.surge)
    }

    private func replace(_ wanted: [String], _ maxUnavailable: Int) -> Work {
        var unavailable = 0
        var broken: [JSON] = []
        var candidates: [JSON] = []
        for name in Set(wanted).union(podsByNode.keys.filter { !$0.isEmpty }).sorted() {
            guard let pair = pair(podsByNode[name] ?? []) else {
                unavailable += 1
                continue
            }
            switch (pair.new, pair.old) {
            case (nil, nil), (.some, .some): unavailable += 1
            case (.some(let new), nil): unavailable += isAvailable(new) ? 0 : 1
            case (nil, .some(let old)):
                if isAvailable(old) { candidates.append(old) } else { broken.append(old) }
            }
        }
        return Work(delete: broken + candidates.prefix(max(0, maxUnavailable - unavailable - broken.count)))
    }

    private func surge(_ wanted: [String], _ maxSurge: Int) -> Work {
        var work = Work()
        var surging = 0
        var candidates: [String] = []
        for name in wanted {
            guard let pair = pair(podsByNode[name] ?? []) else {
                surging += 1
                continue
            }
            guard let old = pair.old else { continue }
            if let new = pair.new {
                if isAvailable(new) { work.delete.append(old) } else { surging += 1 }
            } else if isAvailable(old) {
                candidates.append(name)
            } else {
                work.create.append(name)
            }
        }
        work.create += candidates.prefix(max(0, maxSurge - surging))
        return work
    }

    func status(collisions: Int?) -> JSON {
        var (desired, current, misplaced, ready, available, updated) = (0, 0, 0, 0, 0, 0)
        for node in nodes {
            let pods = (podsByNode[node.metaName] ?? []).sorted(by: isOlder)
            guard place(on: node).runs else {
                if !pods.isEmpty { misplaced += 1 }
                continue
            }
            desired += 1
            guard let pod = pods.first else { continue }
            current += 1
            if PodFacts.isReady(pod) {
                ready += 1
                if isAvailable(pod) { available += 1 }
            }
            if isUpdated(pod) { updated += 1 }
        }
        var status: JSON = [
            "currentNumberScheduled": JSON(current), "numberMisscheduled": JSON(misplaced), "desiredNumberScheduled": JSON(desired),
            "numberReady": JSON(ready), "observedGeneration": JSON(set.generation),
        ]
        if updated > 0 { status["updatedNumberScheduled"] = JSON(updated) }
        if available > 0 { status["numberAvailable"] = JSON(available) }
        if desired > available { status["numberUnavailable"] = JSON(desired - available) }
        if let count = collisions ?? set.statusPart["collisionCount"]?.int { status["collisionCount"] = JSON(count) }
        if let conditions = set.statusPart["conditions"] { status["conditions"] = conditions }
        return status
    }
}
