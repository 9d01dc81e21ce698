// From a command line to a command, and how it ends.
internal import Essentials
internal import Crypto
internal import Yaml

package struct Kubeadm: Sendable {
    let place: KubeadmPlace
    var lab: LabDefaults
    var waitSeconds = KubeadmDefaults.waitSeconds
    var isJoining = false

    package init(place: KubeadmPlace) {
        self.place = place
        lab = LabDefaults(yaml: place.text(KubeadmDefaults.labFile))
    }

    /// Runs a command; answers with its exit status. `confirm` reads a line from whoever is asked.
    package func run(_ words: [String], confirm: () -> String?) async -> Int32 {
        do throws(KubeadmProblem) {
            try await dispatch(words, confirm)
            return 0
        } catch {
            if error.reason == "Usage" {
                place.complain("Error: \(error.message)\n\nRun 'kubeadm --help' for usage.\n".replacingError)
            } else {
                place.complain(error.message.hasPrefix("error ") ? error.message + "\n" : "error: \(error.message)\n")
            }
            place.complain("To see the stack trace of this error execute with --v=5 or higher\n")
            return error.status
        }
    }

    private func dispatch(_ words: [String], _ confirm: () -> String?) async throws(KubeadmProblem) {
        guard let index = words.firstIndex(where: { !$0.hasPrefix("-") }) else {
            place.print(words.contains("--version") ? KubeadmDefaults.version + "\n" : KubeadmHelp.general)
            return
        }
        let command = words[index]
        var rest = Array(words[..<index]) + Array(words[(index + 1)...])
        func read(_ flags: Set<String>, _ switches: Set<String>) throws(KubeadmProblem) -> KubeadmArguments? {
            let arguments = try KubeadmArguments(rest, flags: flags, switches: switches)
            guard arguments.isOn("help") else { return arguments }
            place.print(KubeadmHelp.text(command))
            return nil
        }
        switch command {
        case "init":
            if let phase = rest.firstIndex(of: "phase"), phase == rest.firstIndex(where: { !$0.hasPrefix("-") }) {
                rest.remove(at: phase)
                if let arguments = try read(Self.initFlags, Self.initSwitches) { try await runPhase(arguments) }
            } else if let arguments = try read(Self.initFlags, Self.initSwitches) {
                try noWords(arguments, command)
                try await initialize(arguments)
            }
        case "join": if let arguments = try read(Self.joinFlags, Self.joinSwitches) { try await join(arguments) }
        case "reset":
            if let arguments = try read(Self.resetFlags, Self.resetSwitches) {
                try noWords(arguments, command)
                try reset(arguments, confirm: confirm)
            }
        case "token": if let arguments = try read(Self.tokenFlags, Self.tokenSwitches) { try await token(arguments) }
        case "certs": if let arguments = try read(Self.certsFlags, Self.certsSwitches) { try certs(arguments) }
        case "config": if let arguments = try read(Self.configFlags, []) { try config(arguments) }
        case "version": if let arguments = try read(["output"], ["allow-missing-template-keys"]) { try version(arguments) }
        case "kubeconfig": if let arguments = try read(Self.kubeconfigFlags, []) { try kubeconfig(arguments) }
        case "upgrade":
            throw KubeadmProblem("upgrades are not supported in a lab: its images have one version, \(KubeadmDefaults.version)")
        case "completion": place.print("# Completion of kubeadm comes with the node.\n")
        case "help": place.print(KubeadmHelp.text(rest.first ?? ""))
        default:
            throw KubeadmProblem("unknown command \"\(command)\" for \"kubeadm\"", reason: "Usage")
        }
    }

    private func noWords(_ arguments: KubeadmArguments, _ command: String) throws(KubeadmProblem) {
        guard let word = arguments.words.first else { return }
        throw KubeadmProblem("unknown command \"\(word)\" for \"kubeadm \(command)\"", reason: "Usage")
    }

    /// `kubeadm init phase NAME`, for the phases that stand alone.
    private func runPhase(_ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        var settings = try settings(arguments)
        let pki = PKI(settings: settings, place: place)
        switch arguments.words.first {
        case "preflight": try Preflight(place: place, settings: settings).run(.initial)
        case "certs": try pki.make()
        case "kubeconfig": try pki.makeKubeconfigs()
        case "control-plane": try writeManifests(settings, etcd: false)
        case "etcd": try writeManifests(settings, etcd: true)
        case "kubelet-start":
            try writeKubeletFiles(settings)
            try await startKubelet()
        case "mark-control-plane": try await markControlPlane(settings, try admin(arguments))
        case "upload-config": try await put(ClusterObjects(settings: settings).configuration, arguments)
        case "upload-certs":
            if settings.certificateKey == nil { settings.certificateKey = Hex.encode(SecureRandom.bytes(SealedBox.keyBytes)) }
            try await put(try certificateObjects(key: try certificateKey(settings)), arguments)
            place.print("[upload-certs] Storing the certificates in Secret \"kubeadm-certs\" in the \"kube-system\" Namespace\n")
            place.print("[upload-certs] Using certificate key:\n\(settings.certificateKey ?? "")\n")
        case "addon":
            let addons = Addons(settings: settings)
            let which = arguments.words.dropFirst().first ?? "all"
            if which != "kube-proxy" {
                try await put(addons.dns, arguments)
                place.print("[addons] Applied essential addon: CoreDNS\n")
            }
            if which != "coredns" {
                try await put(addons.proxy, arguments)
                place.print("[addons] Applied essential addon: kube-proxy\n")
            }
        case nil: place.print("Use this command to invoke single phase of the \"init\" workflow: \(Self.phases.joined(separator: ", "))\n")
        case let name?: throw KubeadmProblem("unknown command \"\(name)\" for \"kubeadm init phase\"", reason: "Usage")
        }
    }

    private func put(_ objects: [JSON], _ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        let access = try admin(arguments)
        try await access.putting(objects)
    }
}

extension String {
    /// Usage faults are told as cobra tells them: without the word that is printed already.
    fileprivate var replacingError: String { hasPrefix("Error: ") ? String(dropFirst("Error: ".count)) : self }
}
