// `kubeadm token`: bootstrap tokens of a cluster that is there.
internal import ClusterClient
internal import ClusterModel
internal import Crypto
internal import Essentials

extension Kubeadm {
    static let tokenFlags: Set<String> = ["ttl", "usages", "groups", "description", "certificate-key", "output", "experimental-output"]
    static let tokenSwitches: Set<String> = ["print-join-command", "dry-run"]

    func token(_ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        guard let verb = arguments.words.first else {
            place.print(KubeadmHelp.token)
            return
        }
        switch verb {
        case "generate": place.print("\(BootstrapToken.random())\n")
        case "create": try await createToken(arguments)
        case "list": try await listTokens(arguments)
        case "delete": try await deleteTokens(Array(arguments.words.dropFirst()), arguments)
        default: throw KubeadmProblem("unknown command \"\(verb)\" for \"kubeadm token\"", reason: "Usage")
        }
    }

    func admin(_ arguments: KubeadmArguments) throws(KubeadmProblem) -> ClusterAccess {
        try ClusterAccess(kubeconfig: arguments["kubeconfig"] ?? KubeadmDefaults.kubernetes + "/admin.conf", place: place)
    }

    private func createToken(_ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        var settings = TokenSettings(token: arguments.words.count > 1 ? try BootstrapToken.parse(arguments.words[1]) : .random())
        if let text = arguments["ttl"] {
            guard let seconds = KubeadmArguments.seconds(text) else {
                throw KubeadmProblem("invalid argument \"\(text)\" for \"--ttl\" flag: time: invalid duration \"\(text)\"", reason: "Usage")
            }
            settings.seconds = seconds
        }
        if arguments.values["usages"] != nil { settings.usages = arguments.list("usages") }
        if arguments.values["groups"] != nil { settings.groups = arguments.list("groups") }
        settings.description = arguments["description"] ?? ""
        for usage in settings.usages where usage != "signing" && usage != "authentication" {
            throw KubeadmProblem(
                "usages: Invalid value: [\(settings.usages.joined(separator: " "))]: invalid bootstrap token usage string: \"\(usage)\", valid usages: [signing authentication]"
            )
        }
        let access = try admin(arguments)
        var joinSource = ""
        do throws(ClusterProblem) {
            let name = "bootstrap-token-\(settings.token.id)"
            if (try? await access.client.get(.secrets, namespace: "kube-system", name: name)) != nil {
                throw ClusterProblem(code: 409, reason: "AlreadyExists", message: "a token with id \"\(settings.token.id)\" already exists")
            }
            try await access.put(settings.secret(now: place.clock.now()))
            let info = try await access.client.get(.configMaps, namespace: "kube-public", name: "cluster-info")
            let kubeconfig = info["data"]?["kubeconfig"]?.string ?? ""
            if settings.usages.contains("signing") {
                // The controller does the same a little later; a join may come at once.
                let key = "jws-kubeconfig-\(settings.token.id)"
                let patch: JSON = ["data": JSON([key: settings.token.signature(of: kubeconfig)])]
                _ = try await access.client.patch(.configMaps, namespace: "kube-public", name: "cluster-info", .merge, patch)
            }
            guard arguments.isOn("print-join-command") else { return place.print("\(settings.token)\n") }
            joinSource = kubeconfig
        } catch { throw KubeadmProblem(error.message, reason: error.reason) }
        let found = try Self.publicServer(joinSource)
        let hash = try Self.hash(found.authority)
        var line = "kubeadm join \(found.server) --token \(settings.token) --discovery-token-ca-cert-hash \(hash)"
        if let key = arguments["certificate-key"] { line += " --control-plane --certificate-key \(key)" }
        place.print(line + "\n")
    }

    static func hash(_ authority: String) throws(KubeadmProblem) -> String {
        do throws(CryptoProblem) { return try Certificate(pem: authority).publicKeyHash } catch {
            throw .crypto(error, "couldn't load CA certificate")
        }
    }

    private func listTokens(_ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        let access = try admin(arguments)
        let secrets: [JSON]
        do throws(ClusterProblem) {
            secrets = try await access.client.list(.secrets, namespace: "kube-system").items.filter {
                $0["type"] == "bootstrap.kubernetes.io/token"
            }
        } catch { throw .cluster(error, "failed to list bootstrap tokens") }
        let now = place.clock.now()
        var rows: [[String]] = []
        var documents: [JSON] = []
        for secret in secrets {
            func value(_ key: String) -> String {
                (secret["data"]?[key]?.string.flatMap(Base64.decode)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            }
            let expiry = value("expiration")
            let usages = ["authentication", "signing"].filter { value("usage-bootstrap-\($0)") == "true" }
            let left = Timestamp(rfc3339: expiry).map { $0.since(now) }
            rows.append([
                "\(value("token-id")).\(value("token-secret"))", left.map { $0 <= 0 ? "<invalid>" : Self.age(Int($0)) } ?? "<forever>",
                expiry.isEmpty ? "<never>" : expiry, usages.joined(separator: ","),
                value("description").isEmpty ? "<none>" : value("description"),
                value("auth-extra-groups").isEmpty ? "<none>" : value("auth-extra-groups"),
            ])
            documents.append([
                "kind": "BootstrapToken", "apiVersion": "output.kubeadm.k8s.io/v1alpha3", "token": JSON(rows[rows.count - 1][0]),
                "expires": JSON(expiry), "usages": JSON(usages),
                "groups": JSON(value("auth-extra-groups").split(separator: ",").map(String.init)),
            ])
        }
        if arguments["output"] == "json" {
            for document in documents { place.print(document.text + "\n") }
            return
        }
        guard !rows.isEmpty else { return }
        place.print(Self.table([["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"]] + rows))
    }

    /// Columns three blanks apart, as kubectl and kubeadm print them.
    static func table(_ rows: [[String]]) -> String {
        var widths: [Int] = []
        for row in rows {
            for (index, cell) in row.enumerated() {
                if index == widths.count { widths.append(0) }
                widths[index] = max(widths[index], cell.count)
            }
        }
        return rows.map { row in
            row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count + 3)
            }.joined() + "\n"
        }.joined()
    }

    /// `23h`, `59m`, `364d`.
    static func age(_ seconds: Int) -> String {
        if seconds < 120 { return "\(seconds)s" }
        if seconds < 3 * 3600 { return "\(seconds / 60)m" }
        if seconds < 48 * 3600 { return "\(seconds / 3600)h" }
        return seconds < 2 * 365 * 86400 ? "\(seconds / 86400)d" : "\(seconds / 86400 / 365)y"
    }

    private func deleteTokens(_ names: [String], _ arguments: KubeadmArguments) async throws(KubeadmProblem) {
        guard !names.isEmpty else { throw KubeadmProblem("missing argument; 'token delete' is missing token", reason: "Usage") }
        let access = try admin(arguments)
        for name in names {
            let id = BootstrapToken.isID(name) ? name : (try? BootstrapToken.parse(name))?.id
            guard let id else {
                throw KubeadmProblem("given token didn't match pattern \"\\A([a-z0-9]{6})\\z\" or \"\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z\"")
            }
            do throws(ClusterProblem) {
                try await access.client.delete(.secrets, namespace: "kube-system", name: "bootstrap-token-\(id)")
                var patch: JSON = .emptyObject
                patch[path: ["data", "jws-kubeconfig-\(id)"]] = JSON.null
                _ = try? await access.client.patch(.configMaps, namespace: "kube-public", name: "cluster-info", .merge, patch)
            } catch { throw .cluster(error, "failed to delete bootstrap token \"\(id)\"") }
            place.print("bootstrap token \"\(id)\" deleted\n")
        }
    }

    /// Server and authority of the public kubeconfig.
    static func publicServer(_ kubeconfig: String) throws(KubeadmProblem) -> Found {
        let found = try readPublic(kubeconfig, "the cluster-info ConfigMap")
        return Found(server: String(found.server.drop { $0 != "/" }.drop { $0 == "/" }), authority: found.authority)
    }
}
