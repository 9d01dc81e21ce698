// What a pod's volume claims mean for its place. Read before the decision; deciding asks nobody.
internal import ClusterModel
internal import Essentials

/// A persistent volume, as far as it decides about nodes.
struct VolumeFacts: Sendable, Equatable {
    let name: String
    let nodeTerms: [NodeTerm]?
    let capacity: Int64

    init(_ volume: JSON) {
        name = volume.metaName
        nodeTerms = volume[path: ["spec", "nodeAffinity", "required", "nodeSelectorTerms"]]?.array?.map(NodeTerm.init)
        capacity = Amounts(quantities: volume["spec"]?["capacity"])["storage"] ?? 0
    }

    func isReachable(from node: NodeFacts) -> Bool { nodeTerms?.contains { $0.selects(node) } ?? true }

    static func == (left: VolumeFacts, right: VolumeFacts) -> Bool { left.name == right.name }
}

struct ClaimFacts: Sendable {
    enum State: Sendable {
        case missing
        case beingDeleted
        case bound(VolumeFacts)
        /// It says that it is bound, but the volume is gone.
        case lost
        /// Not bound, and not the scheduler's to bind.
        case immediate
        /// To be bound when the node is known: to one of the volumes, smallest first, or to a new one.
        case delayed(volumes: [VolumeFacts], isProvisioned: Bool)
    }
    let name: String
    let state: State

    static let waitMode = "WaitForFirstConsumer"
    static let selectedNode = "volume.kubernetes.io/selected-node"
    static let usualClass = "storageclass.kubernetes.io/is-default-class"

    init(name: String, state: State) {
        self.name = name
        self.state = state
    }

    /// - Parameters:
    ///   - claim: the claim, where there is one.
    ///   - volumes: all volumes.
    ///   - storageClass: the claim's class, where there is one.
    init(_ name: String, _ claim: JSON?, volumes: [JSON], storageClass: JSON?) {
        self.name = name
        guard let claim else {
            state = .missing
            return
        }
        if claim.isBeingDeleted {
            state = .beingDeleted
            return
        }
        if let volumeName = claim["spec"]?["volumeName"]?.string, !volumeName.isEmpty {
            let isBound = claim["status"]?["phase"]?.string == "Bound" || claim.metaAnnotations["pv.kubernetes.io/bind-completed"] != nil
            if let volume = volumes.first(where: { $0.metaName == volumeName }) {
                state = isBound ? .bound(VolumeFacts(volume)) : .immediate
            } else {
                state = .lost
            }
            return
        }
        guard storageClass?["volumeBindingMode"]?.string == Self.waitMode else {
            state = .immediate
            return
        }
        let fitting = volumes.filter { Self.fits($0, claim) }.map(VolumeFacts.init).sorted { $0.capacity < $1.capacity }
        let provisioner = storageClass?["provisioner"]?.string ?? ""
        state = .delayed(volumes: fitting, isProvisioned: provisioner != "kubernetes.io/no-provisioner")
    }

    private static func fits(_ volume: JSON, _ claim: JSON) -> Bool {
        let spec = volume["spec"] ?? .null
        if let reference = spec["claimRef"], reference.object != nil {
            // Kept for this claim by hand.
            guard reference["name"]?.string == claim.metaName, reference["namespace"]?.string == claim.metaNamespace,
                reference["uid"]?.string.map({ $0.isEmpty || $0 == claim.metaUID }) ?? true
            else { return false }
        }
        let wanted = claim["spec"] ?? .null
        guard !volume.isBeingDeleted, ["Available", "Pending", nil].contains(volume["status"]?["phase"]?.string),
            spec["storageClassName"]?.string ?? "" == wanted["storageClassName"]?.string ?? "",
            spec["volumeMode"]?.string ?? "Filesystem" == wanted["volumeMode"]?.string ?? "Filesystem"
        else { return false }
        let modes = Set(spec["accessModes"]?.array?.compactMap(\.string) ?? [])
        guard modes.isSuperset(of: wanted["accessModes"]?.array?.compactMap(\.string) ?? []) else { return false }
        let need = Amounts(quantities: wanted["resources"]?["requests"])["storage"] ?? 0
        guard Amounts(quantities: spec["capacity"])["storage"] ?? 0 >= need else { return false }
        guard let selector = wanted["selector"], selector.object != nil else { return true }
        return (try? LabelSelector(structured: selector))?.matches(labelsOf: volume) ?? false
    }
}

/// What the claims of one pod allow.
struct VolumeDecision: Sendable {
    let claims: [ClaimFacts]

    /// Upstream's sentence where no node can be right.
    var refusalEverywhere: String? {
        for claim in claims {
            switch claim.state {
            case .missing: return "persistentvolumeclaim \"\(claim.name)\" not found"
            case .beingDeleted: return "persistentvolumeclaim \"\(claim.name)\" is being deleted"
            default: continue
            }
        }
        return claims.contains { if case .immediate = $0.state { true } else { false } }
            ? "pod has unbound immediate PersistentVolumeClaims" : nil
    }

    /// The volumes for the claims that are bound when the node is known; `nil`: a new one is made.
    func choice(for node: NodeFacts) -> Result<[String: String?], Refusal> {
        var chosen: [String: String?] = [:]
        var taken: Set<String> = []
        for claim in claims {
            switch claim.state {
            case .bound(let volume):
                guard volume.isReachable(from: node) else { return .failure(.volumesElsewhere) }
            case .lost: return .failure(.volumesLost)
            case .delayed(let volumes, let isProvisioned):
                if let volume = volumes.first(where: { !taken.contains($0.name) && $0.isReachable(from: node) }) {
                    taken.insert(volume.name)
                    chosen[claim.name] = .some(volume.name)
                } else if isProvisioned {
                    chosen[claim.name] = .some(nil)
                } else {
                    return .failure(.noVolumes)
                }
            case .missing, .beingDeleted, .immediate: return .failure(.noVolumes)
            }
        }
        return .success(chosen)
    }
}
