// The certificates and kubeconfigs of a control plane: upstream's files and names, with EC keys.
internal import Crypto
internal import Essentials

/// One certificate below /etc/kubernetes/pki.
struct PKIEntry {
    enum Use { case authority, server, client, peer }
    /// `etcd/server`: the file without its ending, which is also what kubeadm calls it.
    var name: String
    /// The authority that signs it; nil: itself.
    var authority: String?
    var commonName: String
    var organizations: [String] = []
    var use: Use
    /// As `certs renew` takes it, where it differs.
    var longName: String
}

struct PKI {
    let settings: ClusterSettings
    let place: KubeadmPlace

    private static let folder = KubeadmDefaults.pki

    var entries: [PKIEntry] {
        [
            PKIEntry(name: "ca", commonName: "kubernetes", use: .authority, longName: "ca"),
            PKIEntry(name: "apiserver", authority: "ca", commonName: "kube-apiserver", use: .server, longName: "apiserver"),
            PKIEntry(
                name: "apiserver-kubelet-client", authority: "ca", commonName: "kube-apiserver-kubelet-client",
                organizations: ["kubeadm:cluster-admins"], use: .client, longName: "apiserver-kubelet-client"),
            PKIEntry(name: "front-proxy-ca", commonName: "front-proxy-ca", use: .authority, longName: "front-proxy-ca"),
            PKIEntry(
                name: "front-proxy-client", authority: "front-proxy-ca", commonName: "front-proxy-client", use: .client,
                longName: "front-proxy-client"),
            PKIEntry(name: "etcd/ca", commonName: "etcd-ca", use: .authority, longName: "etcd-ca"),
            PKIEntry(name: "etcd/server", authority: "etcd/ca", commonName: settings.nodeName, use: .peer, longName: "etcd-server"),
            PKIEntry(name: "etcd/peer", authority: "etcd/ca", commonName: settings.nodeName, use: .peer, longName: "etcd-peer"),
            PKIEntry(
                name: "etcd/healthcheck-client", authority: "etcd/ca", commonName: "kube-etcd-healthcheck-client", use: .client,
                longName: "etcd-healthcheck-client"),
            PKIEntry(
                name: "apiserver-etcd-client", authority: "etcd/ca", commonName: "kube-apiserver-etcd-client", use: .client,
                longName: "apiserver-etcd-client"),
        ]
    }

    func names(_ entry: PKIEntry) -> (names: [String], addresses: [String]) {
        switch entry.name {
        case "apiserver": settings.serverNames(hostname: place.hostname)
        case "etcd/server", "etcd/peer": (["localhost", settings.nodeName].sorted(), [settings.advertiseAddress, "127.0.0.1", "::1"])
        default: ([], [])
        }
    }

    /// Makes what is missing, and says so.
    func make() throws(KubeadmProblem) {
        place.print("[certs] Using certificateDir folder \"\(Self.folder)\"\n")
        var authorities: [String: CertificateAuthority] = [:]
        for entry in entries {
            let path = "\(Self.folder)/\(entry.name)"
            if place.exists(path + ".crt") {
                guard entry.use != .authority || place.exists(path + ".key") || entry.name != "ca" else {
                    throw KubeadmProblem("[certs] couldn't load \(path).key: the private key of an existing authority is missing")
                }
                if entry.use == .authority { authorities[entry.name] = try authority(entry.name) }
                place.print(
                    entry.use == .authority
                        ? "[certs] Using existing \(entry.name) certificate authority\n"
                        : "[certs] Using existing \(entry.name) certificate and key on disk\n")
                continue
            }
            place.print("[certs] Generating \"\(entry.name)\" certificate and key\n")
            let identity: Identity
            do throws(CryptoProblem) {
                if entry.use == .authority {
                    let authority = try CertificateAuthority(commonName: entry.commonName)
                    authorities[entry.name] = authority
                    identity = authority.identity
                } else {
                    guard let authority = authorities[entry.authority ?? ""] else { throw .unreadable(what: "authority") }
                    let (names, addresses) = names(entry)
                    if !names.isEmpty {
                        place.print(
                            "[certs] \(entry.name) serving cert is signed for DNS names [\(names.joined(separator: " "))] and IPs "
                                + "[\(addresses.joined(separator: " "))]\n")
                    }
                    identity = try issue(entry, by: authority)
                }
            } catch { throw .crypto(error, "[certs] could not make \(entry.name)") }
            try write(identity, at: path)
        }
        guard !place.exists(Self.folder + "/sa.key") else {
            place.print("[certs] Using the existing \"sa\" key\n")
            return
        }
        place.print("[certs] Generating \"sa\" key and public key\n")
        let key = try lifting("[certs] could not make sa") { () throws(CryptoProblem) in try PrivateKey() }
        try place.write(Self.folder + "/sa.key", key.pem)
        try place.write(Self.folder + "/sa.pub", key.publicPEM)
    }

    func issue(_ entry: PKIEntry, by authority: CertificateAuthority) throws(CryptoProblem) -> Identity {
        let (names, addresses) = names(entry)
        switch entry.use {
        case .authority: return try CertificateAuthority(commonName: entry.commonName).identity
        case .server: return try authority.issueServer(commonName: entry.commonName, names: names + addresses)
        case .peer: return try authority.issuePeer(commonName: entry.commonName, names: names + addresses)
        case .client: return try authority.issueClient(commonName: entry.commonName, organizations: entry.organizations)
        }
    }

    func write(_ identity: Identity, at path: String) throws(KubeadmProblem) {
        try place.write(path + ".crt", identity.certificate.pem, mode: 0o644)
        try place.write(path + ".key", identity.key.pem)
    }

    /// An authority whose files are there.
    func authority(_ name: String) throws(KubeadmProblem) -> CertificateAuthority {
        let path = "\(Self.folder)/\(name)"
        guard let certificate = place.text(path + ".crt"), let key = place.text(path + ".key") else {
            throw KubeadmProblem("couldn't load CA certificate \(name) from disk: \(path).crt and \(path).key must exist")
        }
        do throws(CryptoProblem) { return try CertificateAuthority(certificatePEM: certificate, keyPEM: key) } catch {
            throw .crypto(error, "couldn't load CA certificate \(path).crt")
        }
    }

    // MARK: Kubeconfigs

    struct Config {
        var file: String
        var user: String
        var organizations: [String]
        /// Speaks to this node's own API server, not to the shared endpoint.
        var isLocal: Bool
    }

    var configs: [Config] {
        [
            Config(file: "admin.conf", user: "kubernetes-admin", organizations: ["kubeadm:cluster-admins"], isLocal: false),
            Config(file: "super-admin.conf", user: "kubernetes-super-admin", organizations: ["system:masters"], isLocal: false),
            Config(file: "kubelet.conf", user: "system:node:\(settings.nodeName)", organizations: ["system:nodes"], isLocal: false),
            Config(file: "controller-manager.conf", user: "system:kube-controller-manager", organizations: [], isLocal: true),
            Config(file: "scheduler.conf", user: "system:kube-scheduler", organizations: [], isLocal: true),
        ]
    }

    func kubeconfig(_ config: Config, _ authority: CertificateAuthority) throws(KubeadmProblem) -> String {
        let server = config.isLocal ? "\(settings.advertiseAddress):\(settings.bindPort)" : settings.server
        return try kubeconfig(user: config.user, organizations: config.organizations, server: server, authority)
    }

    func kubeconfig(user: String, organizations: [String], server: String, _ authority: CertificateAuthority) throws(KubeadmProblem)
        -> String
    {
        do throws(CryptoProblem) {
            return Kubeconfig.text(
                cluster: settings.clusterName, server: "https://\(server)", authority: authority.certificate, user: user,
                identity: try authority.issueClient(commonName: user, organizations: organizations))
        } catch { throw .crypto(error, "[kubeconfig] could not make a certificate of \(user)") }
    }

    func makeKubeconfigs(isJoin: Bool = false) throws(KubeadmProblem) {
        place.print("[kubeconfig] Using kubeconfig folder \"\(KubeadmDefaults.kubernetes)\"\n")
        let authority = try authority("ca")
        for config in configs {
            if isJoin, config.file == "super-admin.conf" || config.file == "kubelet.conf" { continue }
            let path = "\(KubeadmDefaults.kubernetes)/\(config.file)"
            if place.exists(path) {
                place.print("[kubeconfig] Using existing kubeconfig file: \"\(path)\"\n")
                continue
            }
            place.print("[kubeconfig] Writing \"\(config.file)\" kubeconfig file\n")
            try place.write(path, try kubeconfig(config, authority))
        }
    }
}
