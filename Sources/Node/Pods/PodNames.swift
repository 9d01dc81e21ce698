// What a pod is called in its own network: host name, lines of /etc/hosts and the resolver's file.
internal import ClusterModel
package import Essentials

package struct ResolverSettings: Sendable {
    package var clusterServers: [String]
    package var clusterDomain: String
    /// The node's own resolv.conf.
    package var nodeText: String
    package init(clusterServers: [String], clusterDomain: String, nodeText: String) {
        self.clusterServers = clusterServers
        self.clusterDomain = clusterDomain
        self.nodeText = nodeText
    }
}

package enum PodNames {
    /// The host name inside, and the fully qualified one where there is a subdomain.
    package static func hostname(_ pod: JSON, nodeName: String, clusterDomain: String) -> (short: String, full: String?) {
        let spec = pod["spec"] ?? .null
        if spec["hostNetwork"] == true { return (nodeName, nil) }
        var short = spec["hostname"]?.string ?? ""
        if short.isEmpty {
            short = String(pod.metaName.prefix(63))
            while let last = short.last, last == "-" || last == "." { short.removeLast() }
        }
        guard let subdomain = spec["subdomain"]?.string, !subdomain.isEmpty else { return (short, nil) }
        let full = "\(short).\(subdomain).\(pod.metaNamespace ?? "default").svc.\(clusterDomain)"
        return (spec["setHostnameAsFQDN"] == true ? full : short, full)
    }

    /// Lines of /etc/hosts beyond the pod's own.
    package static func hostsLines(_ pod: JSON) -> [String] {
        let aliases = pod["spec"]?["hostAliases"]?.array ?? []
        guard !aliases.isEmpty else { return [] }
        return ["", "# Entries added by HostAliases."]
            + aliases.map { alias in
                ([alias["ip"]?.string ?? ""] + (alias["hostnames"]?.array ?? []).compactMap(\.string)).joined(separator: "\t")
            }
    }

    /// The pod's /etc/resolv.conf.
    package static func resolver(_ pod: JSON, _ settings: ResolverSettings) -> String {
        let spec = pod["spec"] ?? .null
        let namespace = pod.metaNamespace ?? "default"
        var policy = spec["dnsPolicy"]?.string ?? "ClusterFirst"
        if policy == "ClusterFirst", spec["hostNetwork"] == true { policy = "Default" }
        if policy == "ClusterFirstWithHostNet" { policy = "ClusterFirst" }
        if policy == "ClusterFirst", settings.clusterServers.isEmpty { policy = "Default" }
        var servers: [String] = []
        var searches: [String] = []
        var options: [String] = []
        let node = parse(settings.nodeText)
        switch policy {
        case "None": break
        case "Default": (servers, searches, options) = node
        default:
            servers = settings.clusterServers
            let domain = settings.clusterDomain
            searches = domain.isEmpty ? [] : ["\(namespace).svc.\(domain)", "svc.\(domain)", domain]
            searches += node.searches
            options = ["ndots:5"]
        }
        let extra = spec["dnsConfig"] ?? .null
        servers += (extra["nameservers"]?.array ?? []).compactMap(\.string)
        searches += (extra["searches"]?.array ?? []).compactMap(\.string)
        for option in extra["options"]?.array ?? [] {
            guard let name = option["name"]?.string else { continue }
            options.removeAll { $0 == name || $0.hasPrefix(name + ":") }
            options.append(option["value"]?.string.map { "\(name):\($0)" } ?? name)
        }
        var lines: [String] = []
        let unique = unique(searches)
        if !unique.isEmpty { lines.append("search " + unique.prefix(32).joined(separator: " ")) }
        for server in self.unique(servers).prefix(3) { lines.append("nameserver " + server) }
        if !options.isEmpty { lines.append("options " + options.joined(separator: " ")) }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func parse(_ text: String) -> (servers: [String], searches: [String], options: [String]) {
        var result: (servers: [String], searches: [String], options: [String]) = ([], [], [])
        for line in text.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
            switch words.first {
            case "nameserver": result.servers += words.dropFirst().prefix(1)
            case "search", "domain": result.searches = words.dropFirst().filter { $0 != "." }
            case "options": result.options += words.dropFirst()
            default: break
            }
        }
        return result
    }

    private static func unique(_ words: [String]) -> [String] {
        var seen: Set<String> = []
        return words.filter { seen.insert($0).inserted }
    }
}
