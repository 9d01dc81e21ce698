// Rules for the specification of pods, whether of a pod itself or of a template.
internal import Essentials
internal import OrderedCollections

enum PodSpecRules {
    /// `claims` are volumes that someone adds later, as a StatefulSet does.
    static func check(_ spec: JSON, at path: String, claims: [String] = []) -> [FieldCause] {
        var causes: [FieldCause] = []
        var volumes = Set(claims)
        for (index, volume) in (spec["volumes"]?.array ?? []).enumerated() {
            causes += check(volume: volume, at: "\(path).volumes[\(index)]")
            volumes.insert(volume["name"]?.string ?? "")
        }
        var names = Set((spec["containers"]?.array ?? []).compactMap { $0["name"]?.string })
        for (index, container) in (spec["initContainers"]?.array ?? []).enumerated() {
            let below = "\(path).initContainers[\(index)]"
            causes += ContainerRules.check(container, in: spec, volumes: volumes, at: below)
            let isSidecar = container["restartPolicy"] == "Always"
            for part in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] where container[part] != nil && !isSidecar {
                causes.append(.forbidden("\(below).\(part)", "may not be set for init containers without restartPolicy=Always"))
            }
            let name = container["name"]?.string ?? ""
            if !name.isEmpty, !names.insert(name).inserted { causes.append(.duplicate(below + ".name", name)) }
        }
        for (index, container) in (spec["containers"]?.array ?? []).enumerated() {
            let below = "\(path).containers[\(index)]"
            causes += ContainerRules.check(container, in: spec, volumes: volumes, at: below)
            if container["restartPolicy"] != nil {
                causes.append(.forbidden(below + ".restartPolicy", "may not be set for non-init containers"))
            }
        }
        return causes + checkPlace(spec, at: path)
    }

    /// A template: its labels, and its specification without debug containers.
    static func check(template: JSON?, at path: String, claims: [String] = []) -> [FieldCause] {
        guard let template else { return [] }
        var causes = MetadataRules.checkLabels(template["metadata"]?["labels"], at: path + ".labels")
        guard let spec = template["spec"] else { return causes + [.required(path + ".spec.containers")] }
        causes += check(spec, at: path + ".spec", claims: claims)
        if spec["ephemeralContainers"] != nil {
            causes.append(.forbidden(path + ".spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
        }
        return causes
    }

    /// Templates of pods that run for ever.
    static func checkAlways(_ template: JSON?, kind: String, at path: String, claims: [String] = []) -> [FieldCause] {
        var causes = check(template: template, at: path, claims: claims)
        let policy = template?["spec"]?["restartPolicy"]?.string ?? ""
        if ["OnFailure", "Never"].contains(policy) { causes.append(.unsupported(path + ".spec.restartPolicy", policy, ["Always"])) }
        if template?["spec"]?["activeDeadlineSeconds"] != nil {
            causes.append(.forbidden(path + ".spec.activeDeadlineSeconds", "activeDeadlineSeconds in \(kind) is not Supported"))
        }
        return causes
    }

    private static func check(volume: JSON, at path: String) -> [FieldCause] {
        let name = volume["name"]?.string ?? ""
        var causes: [FieldCause] = name.isEmpty ? [] : NameRules.label(name).map { .invalid(path + ".name", text: name, $0) }
        let sources = (volume.object ?? [:]).keys.filter { $0 != "name" }
        if sources.isEmpty { causes.append(.required(path, "must specify a volume type")) }
        for source in sources.dropFirst() {
            causes.append(.forbidden("\(path).\(source)", "may not specify more than 1 volume type"))
        }
        if let source = volume["configMap"], (source["name"]?.string ?? "").isEmpty { causes.append(.required(path + ".configMap.name")) }
        if let source = volume["secret"], (source["secretName"]?.string ?? "").isEmpty {
            causes.append(.required(path + ".secret.secretName"))
        }
        if let limit = volume["emptyDir"]?["sizeLimit"]?.string.flatMap(Quantity.init), limit.isNegative {
            causes.append(.forbidden(path + ".emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity"))
        }
        return causes
    }

    /// What says where the pod runs and under which names.
    private static func checkPlace(_ spec: JSON, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        for part in ["hostname", "subdomain"] {
            guard let name = spec[part]?.string, !name.isEmpty else { continue }
            causes += NameRules.label(name).map { .invalid("\(path).\(part)", text: name, $0) }
        }
        for part in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
            guard let name = spec[part]?.string, !name.isEmpty else { continue }
            causes += NameRules.subdomain(name).map { .invalid("\(path).\(part)", text: name, $0) }
        }
        if let seconds = spec["activeDeadlineSeconds"]?.integer, !(1...2_147_483_647).contains(seconds) {
            causes.append(.invalid(path + ".activeDeadlineSeconds", String(seconds), "must be between 1 and 2147483647, inclusive"))
        }
        causes += MetadataRules.checkLabels(spec["nodeSelector"], at: path + ".nodeSelector")
        if spec["dnsPolicy"] == "None", (spec["dnsConfig"]?["nameservers"]?.array ?? []).isEmpty {
            causes.append(
                .required(path + ".dnsConfig.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"))
        }
        for (index, toleration) in (spec["tolerations"]?.array ?? []).enumerated() {
            causes += check(toleration: toleration, at: "\(path).tolerations[\(index)]")
        }
        for (index, rule) in (spec["topologySpreadConstraints"]?.array ?? []).enumerated() {
            guard let skew = rule["maxSkew"]?.integer, skew <= 0 else { continue }
            causes.append(.invalid("\(path).topologySpreadConstraints[\(index)].maxSkew", String(skew), "must be greater than zero"))
        }
        for side in ["podAffinity", "podAntiAffinity"] {
            let part = "preferredDuringSchedulingIgnoredDuringExecution"
            for (index, term) in (spec["affinity"]?[side]?[part]?.array ?? []).enumerated() {
                guard let weight = term["weight"]?.integer, !(1...100).contains(weight) else { continue }
                causes.append(.invalid("\(path).affinity.\(side).\(part)[\(index)].weight", String(weight), "must be in the range 1-100"))
            }
        }
        return causes
    }

    private static func check(toleration: JSON, at path: String) -> [FieldCause] {
        var causes: [FieldCause] = []
        let key = toleration["key"]?.string ?? ""
        let word = toleration["operator"]?.string ?? ""
        if key.isEmpty, word != "Exists" {
            causes.append(
                .invalid(
                    path + ".operator", text: word,
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\""))
        }
        if !key.isEmpty { causes += NameRules.qualifiedName(key).map { .invalid(path + ".key", text: key, $0) } }
        if word == "Exists", !(toleration["value"]?.string ?? "").isEmpty {
            causes.append(.invalid(path + ".operator", GoText.any(toleration), "value must be empty when `operator` is 'Exists'"))
        }
        if toleration["tolerationSeconds"] != nil, toleration["effect"] != "NoExecute" {
            causes.append(
                .invalid(
                    path + ".effect", text: toleration["effect"]?.string ?? "",
                    "effect must be 'NoExecute' when `tolerationSeconds` is set"))
        }
        return causes
    }
}
