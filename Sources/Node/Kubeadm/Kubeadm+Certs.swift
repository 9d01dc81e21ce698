// `kubeadm certs`: when certificates end, and new ones for the same names.
internal import Crypto
internal import Essentials
internal import Yaml

extension Kubeadm {
    static let certsFlags: Set<String> = ["cert-dir", "kubeconfig-dir", "output", "experimental-output"]
    static let certsSwitches: Set<String> = ["allow-missing-template-keys", "show-managed-fields"]

    func certs(_ arguments: KubeadmArguments) throws(KubeadmProblem) {
        switch arguments.words.first {
        case "certificate-key": place.print(Hex.encode(SecureRandom.bytes(SealedBox.keyBytes)) + "\n")
        case "check-expiration": try checkExpiration(json: arguments["output"] == "json")
        case "renew": try renew(arguments.words.dropFirst().first)
        case nil: place.print(KubeadmHelp.certs)
        case let verb?: throw KubeadmProblem("unknown command \"\(verb)\" for \"kubeadm certs\"", reason: "Usage")
        }
    }

    /// The node's name as its certificates say it.
    private var pki: PKI {
        var settings = ClusterSettings(nodeName: place.hostname.lowercased(), advertiseAddress: place.address)
        if let server = (place.text(KubeadmDefaults.kubernetes + "/controller-manager.conf")).flatMap({ try? Self.readPublic($0, "") })?
            .server
        {
            let parts = server.drop { $0 != "/" }.drop { $0 == "/" }.split(separator: ":")
            if parts.count == 2 { (settings.advertiseAddress, settings.bindPort) = (String(parts[0]), Int(parts[1]) ?? settings.bindPort) }
        }
        if let server = (place.text(KubeadmDefaults.kubernetes + "/admin.conf")).flatMap({ try? Self.readPublic($0, "") })?.server {
            let host = String(server.drop { $0 != "/" }.drop { $0 == "/" })
            if host != settings.server { settings.endpoint = host }
        }
        return PKI(settings: settings, place: place)
    }

    private static let configNames = ["admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"]

    private func clientCertificate(_ file: String) -> Certificate? {
        guard let text = place.text("\(KubeadmDefaults.kubernetes)/\(file)"), let document = try? YAML.document(Array(text.utf8)),
            let bytes = document["users"]?[0]?["user"]?["client-certificate-data"]?.string.flatMap(Base64.decode)
        else { return nil }
        return try? Certificate(pem: String(decoding: bytes, as: UTF8.self))
    }

    private func checkExpiration(json: Bool) throws(KubeadmProblem) {
        let now = place.clock.now()
        var rows = [["CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"]]
        var authorities = [["CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"]]
        var leaves: [(String, Timestamp, String)] = []
        for file in Self.configNames { if let certificate = clientCertificate(file) { leaves.append((file, certificate.expiresAt, "ca")) } }
        for entry in pki.entries {
            guard let text = place.text("\(KubeadmDefaults.pki)/\(entry.name).crt"), let certificate = try? Certificate(pem: text) else {
                continue
            }
            let end = certificate.expiresAt
            if entry.use == .authority {
                authorities.append([entry.longName, Self.date(end), Self.left(end, now), "no"])
            } else {
                leaves.append((entry.longName, end, entry.authority == "etcd/ca" ? "etcd-ca" : entry.authority ?? ""))
            }
        }
        guard !leaves.isEmpty else { throw KubeadmProblem("there are no certificates below \(KubeadmDefaults.pki)") }
        leaves.sort { $0.0 < $1.0 }
        if json {
            let list: [JSON] = leaves.map {
                [
                    "name": JSON($0.0), "expirationDate": JSON($0.1.rfc3339), "residualTime": JSON(Int($0.1.since(now))),
                    "caName": JSON($0.2),
                    "externallyManaged": false, "missing": false,
                ]
            }
            let document: JSON = [
                "apiVersion": "output.kubeadm.k8s.io/v1alpha3", "kind": "CertificateExpirationInfo", "certificates": JSON(list),
            ]
            place.print(document.text + "\n")
            return
        }
        rows += leaves.map { [$0.0, Self.date($0.1), Self.left($0.1, now), $0.2, "no"] }
        place.print(Self.table(rows) + "\n" + Self.table(authorities))
    }

    /// `Nov 25, 2027 03:15 UTC`.
    static func date(_ time: Timestamp) -> String {
        let text = time.rfc3339
        let day = text.split(separator: "T")[0].split(separator: "-")
        return "\(ServiceText.shortTime(time).prefix(3)) \(day[2]), \(day[0]) \(text.split(separator: "T")[1].prefix(5)) UTC"
    }

    private static func left(_ end: Timestamp, _ now: Timestamp) -> String {
        let seconds = Int(end.since(now))
        return seconds <= 0 ? "<invalid>" : age(seconds)
    }

    private func renew(_ name: String?) throws(KubeadmProblem) {
        guard let name else {
            place.print(KubeadmHelp.certs)
            return
        }
        let pki = pki
        let known = pki.entries.filter { $0.use != .authority }
        guard name == "all" || known.contains(where: { $0.longName == name }) || Self.configNames.contains(name) else {
            throw KubeadmProblem("unknown command \"\(name)\" for \"kubeadm certs renew\"", reason: "Usage")
        }
        for entry in known where name == "all" || entry.longName == name {
            let path = "\(KubeadmDefaults.pki)/\(entry.name)"
            guard let oldText = place.text(path + ".crt"), let old = try? Certificate(pem: oldText) else {
                place.print("MISSING! certificate for \(entry.longName)\n")
                continue
            }
            let authority = try pki.authority(entry.authority ?? "")
            // What the old one was signed for holds for the new one, also where flags of `init` are not known any more.
            let usage = entry.use == .client ? "clientAuth" : entry.use == .server ? "serverAuth" : "serverAuth,clientAuth"
            let identity = try lifting("failed to renew certificate \(entry.longName)") { () throws(CryptoProblem) in
                try authority.renew(
                    key: try PrivateKey(), commonName: old.commonName, organizations: old.organizations, names: old.alternativeNames,
                    usage: usage)
            }
            try pki.write(identity, at: path)
            place.print("certificate for \(Self.purposes[entry.longName] ?? entry.longName) renewed\n")
        }
        for file in Self.configNames where name == "all" || name == file {
            guard place.exists("\(KubeadmDefaults.kubernetes)/\(file)"), let config = pki.configs.first(where: { $0.file == file }) else {
                if name == file { place.print("MISSING! certificate embedded in the kubeconfig file \(file)\n") }
                continue
            }
            try place.write("\(KubeadmDefaults.kubernetes)/\(file)", try pki.kubeconfig(config, try pki.authority("ca")))
            place.print("certificate embedded in the kubeconfig file \(Self.purposes[file] ?? file) renewed\n")
        }
        place.print(
            "\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and etcd, so that they can use the new certificates.\n"
        )
    }

    private static let purposes = [
        "apiserver": "serving the Kubernetes API", "apiserver-etcd-client": "the apiserver uses to access etcd",
        "apiserver-kubelet-client": "the API server to connect to kubelet",
        "etcd-healthcheck-client": "liveness probes to healthcheck etcd",
        "etcd-peer": "etcd nodes to communicate with each other", "etcd-server": "serving etcd",
        "front-proxy-client": "the front proxy client", "admin.conf": "for the admin to use and for kubeadm itself",
        "super-admin.conf": "for the super-admin", "controller-manager.conf": "for the controller manager to use",
        "scheduler.conf": "for the scheduler manager to use",
    ]
}
