// What must be true of a node before kubeadm changes anything on it, with upstream's names and words.
internal import Essentials
internal import Kernel

struct Preflight {
    enum Kind { case initial, join(controlPlane: Bool) }

    let place: KubeadmPlace
    let settings: ClusterSettings

    struct Finding {
        var name: String
        var message: String
    }

    /// Throws when a check that may not be ignored fails; what is ignored is told.
    func run(_ kind: Kind) throws(KubeadmProblem) {
        place.print("[preflight] Running pre-flight checks\n")
        var errors: [Finding] = []
        var warnings: [Finding] = []
        check(kind, &errors, &warnings)
        let ignored = settings.ignoredChecks
        for finding in warnings { place.complain("\t[WARNING \(finding.name)]: \(finding.message)\n") }
        var fatal = ""
        for finding in errors {
            if ignored.contains("all") || ignored.contains(finding.name.lowercased()) {
                place.complain("\t[WARNING \(finding.name)]: \(finding.message)\n")
            } else {
                fatal += "\t[ERROR \(finding.name)]: \(finding.message)\n"
            }
        }
        guard fatal.isEmpty else {
            throw KubeadmProblem(
                "error execution phase preflight: [preflight] Some fatal errors occurred:\n\(fatal)[preflight] If you know what you are doing, "
                    + "you can make a check non-fatal with `--ignore-preflight-errors=...`",
                reason: "Preflight")
        }
    }

    private func check(_ kind: Kind, _ errors: inout [Finding], _ warnings: inout [Finding]) {
        var isControlPlane = true
        var isInit = false
        switch kind {
        case .initial: isInit = true
        case .join(let controlPlane): isControlPlane = controlPlane
        }
        if !Self.isHostname(settings.nodeName) {
            errors.append(
                Finding(
                    name: "Hostname",
                    message:
                        "hostname \"\(settings.nodeName)\" a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
                ))
        }
        if place.control.isThere {
            do throws(ServiceProblem) {
                let status = try place.control.ask("status", unit: "kubelet.service")["status"] ?? .null
                if status["enabled"] != "enabled" {
                    warnings.append(
                        Finding(
                            name: "Service-Kubelet",
                            message: "kubelet service is not enabled, please run 'systemctl enable kubelet.service'"))
                }
            } catch {
                warnings.append(Finding(name: "Service-Kubelet", message: "kubelet service does not exist"))
            }
        }
        let listening = Self.listeningPorts(place)
        var ports = [10250]
        if isControlPlane { ports = [settings.bindPort, 10259, 10257, 10250] + (isInit ? [2379, 2380] : []) }
        for port in ports where listening.contains(port) {
            errors.append(Finding(name: "Port-\(port)", message: "Port \(port) is in use"))
        }
        if isControlPlane {
            for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"] {
                let path = "\(KubeadmDefaults.manifests)/\(name).yaml"
                if place.exists(path) {
                    errors.append(
                        Finding(
                            name: "FileAvailable-\(path.map { $0 == "/" ? "-" : String($0) }.joined())", message: "\(path) already exists"))
                }
            }
        }
        if !isInit {
            for path in [KubeadmDefaults.kubernetes + "/kubelet.conf", KubeadmDefaults.kubernetes + "/bootstrap-kubelet.conf"]
                + (isControlPlane ? [] : [KubeadmDefaults.pki + "/ca.crt"])
            where place.exists(path) {
                errors.append(
                    Finding(name: "FileAvailable-\(path.map { $0 == "/" ? "-" : String($0) }.joined())", message: "\(path) already exists"))
            }
        }
        let forwarding = "/proc/sys/net/ipv4/ip_forward"
        if place.exists(forwarding), place.text(forwarding)?.hasPrefix("1") == false {
            errors.append(
                Finding(name: "FileContent--proc-sys-net-ipv4-ip_forward", message: "\(forwarding) contents are not set to 1"))
        }
        for (program, isNeeded) in [("crun", true), ("ip", true), ("nft", true), ("mount", true), ("conntrack", true), ("socat", false)] {
            guard !["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"].contains(where: { place.exists("\($0)/\(program)") }) else {
                continue
            }
            let finding = Finding(name: "FileExisting-\(program)", message: "\(program) not found in system path")
            if isNeeded { errors.append(finding) } else { warnings.append(finding) }
        }
        if isInit, !place.list(settings.etcdDirectory).filter({ $0 != "lost+found" }).isEmpty {
            errors.append(
                Finding(
                    name: "DirAvailable-\(settings.etcdDirectory.map { $0 == "/" ? "-" : String($0) }.joined())",
                    message: "\(settings.etcdDirectory) is not empty"))
        }
        if isControlPlane {
            for image in Manifests(settings: settings).images where !Catalogue(place: place).has(image) {
                errors.append(
                    Finding(
                        name: "ImagePull",
                        message: "failed to pull image \(image): rpc error: code = NotFound desc = failed to pull and unpack image "
                            + "\"\(image)\": failed to resolve reference \"\(image)\": \(image): not found"))
            }
        }
    }

    static func isHostname(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 253
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.first != "-" && part.last != "-"
                    && part.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
            }
    }

    /// Ports on which something listens, of both families.
    static func listeningPorts(_ place: KubeadmPlace) -> Set<Int> {
        var ports: Set<Int> = []
        for file in ["tcp", "tcp6"] {
            for line in (place.text("/proc/self/net/\(file)") ?? "").split(separator: "\n").dropFirst() {
                let fields = line.split(separator: " ")
                guard fields.count > 3, fields[3] == "0A", let port = fields[1].split(separator: ":").last.flatMap({ Int($0, radix: 16) })
                else {
                    continue
                }
                ports.insert(port)
            }
        }
        return ports
    }
}

/// The images that a node can see.
struct Catalogue {
    static let path = "/usr/lib/lectern/images"
    let place: KubeadmPlace

    func has(_ reference: String) -> Bool {
        guard let colon = reference.lastIndex(of: ":") else { return false }
        return place.exists("\(Self.path)/\(reference[..<colon])/\(reference[reference.index(after: colon)...])/rootfs")
    }
}
