// The Corefile: server blocks with plugins, in the form that CoreDNS reads. Plugins that are not known here stop it, as there.
internal import Essentials
package import Kernel

package enum CorefileProblem: Problem, Equatable {
    case malformed(line: Int, detail: String)
    case unknownPlugin(line: Int, name: String)

    package var reason: String {
        switch self {
        case .malformed: "CorefileMalformed"
        case .unknownPlugin: "CorefilePluginUnknown"
        }
    }
    package var message: String {
        switch self {
        case .malformed(let line, let detail): "Corefile:\(line) - Error during parsing: \(detail)"
        case .unknownPlugin(let line, let name): "Corefile:\(line) - Error during parsing: Unknown directive '\(name)'"
        }
    }
}

/// What one server block asks for.
package struct CorefileBlock: Sendable, Equatable {
    /// Without the dot at the end; "" for all names.
    package var zones: [String] = []
    package var port: UInt16 = 53
    package var logsErrors = false
    package var logsQueries = false
    /// `ADDRESS:PORT` of the health and readiness endpoints.
    package var health: (address: IPv4, port: UInt16)?
    package var ready: (address: IPv4, port: UInt16)?
    package var metrics: (address: IPv4, port: UInt16)?
    package var reloads = false
    package var rotates = false
    package var kubernetes: Kubernetes?
    package var hosts: Hosts?
    package var forwards: [Forward] = []
    package var cache: Cache?
    /// Names that stand for others.
    package var rewrites: [String: String] = [:]
    /// What is answered to all that nothing else answers.
    package var template: DNSCode?

    package struct Kubernetes: Sendable, Equatable {
        package var zones: [String]
        package var pods: ClusterZone.Pods = .disabled
        package var timeToLive: UInt32 = 5
        /// Nil: it never falls through. Empty: for all zones.
        package var fallthroughZones: [String]?
        package var kubeconfig: String?
    }
    package struct Hosts: Sendable, Equatable {
        package var file: String?
        package var entries: [Entry] = []
        package var timeToLive: UInt32 = 3600
        package var fallthroughZones: [String]?

        package struct Entry: Sendable, Equatable {
            package var address: String
            package var names: [String]
        }
    }
    package struct Forward: Sendable, Equatable {
        package var from: String
        /// Addresses, or files in the form of resolv.conf.
        package var to: [String]
        package var except: [String] = []
        package var prefersTCP = false
        package var maximumConcurrent = 1000
    }
    package struct Cache: Sendable, Equatable {
        package var seconds: UInt32 = 3600
        package var denialSeconds: UInt32 = 1800
        package var uncachedSuccess: [String] = []
        package var uncachedDenial: [String] = []
    }

    package static func == (left: CorefileBlock, right: CorefileBlock) -> Bool {
        left.zones == right.zones && left.port == right.port && left.kubernetes == right.kubernetes && left.hosts == right.hosts
            && left.forwards == right.forwards && left.cache == right.cache && left.rewrites == right.rewrites
            && left.template == right.template && left.logsQueries == right.logsQueries && left.rotates == right.rotates
    }
}

package struct Corefile: Sendable {
    package var blocks: [CorefileBlock]

    private struct Line {
        var number: Int
        var words: [String]
        var inner: [Line] = []
    }

    package init(_ text: String) throws(CorefileProblem) {
        var tokens = Self.tokens(text)[...]
        blocks = []
        while !tokens.isEmpty {
            let head = try Self.line(&tokens, depth: 0)
            guard !head.words.isEmpty else { continue }
            blocks.append(try Self.block(head))
        }
        guard !blocks.isEmpty else { throw .malformed(line: 1, detail: "no server block") }
    }

    /// Words with their line; a word may be quoted; `#` begins a comment.
    private static func tokens(_ text: String) -> [(word: String, line: Int)] {
        var result: [(String, Int)] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            var word = ""
            var isQuoted = false
            var isWord = false
            for character in line {
                if isQuoted {
                    if character == "\"" { isQuoted = false } else { word.append(character) }
                } else if character == "\"" {
                    isQuoted = true
                    isWord = true
                } else if character == "#", !isWord {
                    break
                } else if character == " " || character == "\t" || character == "\r" {
                    if isWord { result.append((word, index + 1)) }
                    word = ""
                    isWord = false
                } else {
                    word.append(character)
                    isWord = true
                }
            }
            if isWord { result.append((word, index + 1)) }
        }
        return result
    }

    /// One line, and what stands in braces behind it.
    private static func line(_ tokens: inout ArraySlice<(word: String, line: Int)>, depth: Int) throws(CorefileProblem) -> Line {
        guard depth < 8, let first = tokens.first else { throw .malformed(line: 0, detail: "too deep") }
        var line = Line(number: first.line, words: [])
        while let token = tokens.first {
            if token.word == "{" {
                tokens = tokens.dropFirst()
                while let next = tokens.first, next.word != "}" { line.inner.append(try Self.line(&tokens, depth: depth + 1)) }
                guard tokens.first != nil else { throw .malformed(line: line.number, detail: "Unexpected EOF, expecting '}'") }
                tokens = tokens.dropFirst()
                return line
            }
            if token.word == "}" {
                guard depth > 0 else { throw .malformed(line: token.line, detail: "unexpected '}'") }
                return line
            }
            if token.line != line.number, depth > 0 { return line }
            line.words.append(token.word)
            tokens = tokens.dropFirst()
            if token.line != line.number { line.number = token.line }
        }
        return line
    }

    static func zone(_ text: String) -> String {
        let lower = text.lowercased()
        // A network stands for its reverse zone.
        if let block = IPv4Block(lower), block.prefixLength % 8 == 0, block.prefixLength > 0 {
            return block.base.bytes.prefix(Int(block.prefixLength / 8)).reversed().map(String.init).joined(separator: ".") + ".in-addr.arpa"
        }
        return lower.hasSuffix(".") ? String(lower.dropLast()) : lower
    }

    private static func endpoint(_ text: String?, port: UInt16) -> (address: IPv4, port: UInt16) {
        guard let text else { return (IPv4(0), port) }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let address = parts.first.flatMap { IPv4($0) } ?? (parts.first == "localhost" ? IPv4(0x7F00_0001) : IPv4(0))
        return (address, parts.count > 1 ? UInt16(parts[parts.count - 1]) ?? port : port)
    }

    private static func block(_ head: Line) throws(CorefileProblem) -> CorefileBlock {
        var block = CorefileBlock()
        for word in head.words.flatMap({ $0.split(separator: ",").map(String.init) }) {
            var text = word
            for scheme in ["dns://"] where text.hasPrefix(scheme) { text = String(text.dropFirst(scheme.count)) }
            guard !text.contains("://") else { throw .malformed(line: head.number, detail: "only plain DNS is served, not \(word)") }
            if let colon = text.lastIndex(of: ":") {
                guard let port = UInt16(text[text.index(after: colon)...]) else {
                    throw .malformed(line: head.number, detail: "\(word) has no valid port")
                }
                block.port = port
                text = String(text[..<colon])
            }
            block.zones.append(zone(text))
        }
        for line in head.inner { try add(line, to: &block) }
        return block
    }

    private static func add(_ line: Line, to block: inout CorefileBlock) throws(CorefileProblem) {
        let words = Array(line.words.dropFirst())
        func number(_ text: String?) throws(CorefileProblem) -> UInt32 {
            guard let text, let value = UInt32(text) else { throw .malformed(line: line.number, detail: "'\(text ?? "")' is no number") }
            return value
        }
        switch line.words.first ?? "" {
        case "errors": block.logsErrors = true
        case "log": block.logsQueries = true
        case "health": block.health = endpoint(words.first, port: 8080)
        case "ready": block.ready = endpoint(words.first, port: 8181)
        case "prometheus": block.metrics = endpoint(words.first ?? "localhost:9153", port: 9153)
        case "reload": block.reloads = true
        case "loadbalance": block.rotates = true
        case "loop", "bufsize", "debug", "root", "local", "minimal", "cancel", "nsid", "any", "acl", "whoami", "chaos", "bind": break
        case "kubernetes":
            var kubernetes = CorefileBlock.Kubernetes(zones: words.isEmpty ? block.zones : words.map(zone))
            for option in line.inner {
                let values = Array(option.words.dropFirst())
                switch option.words.first ?? "" {
                case "pods":
                    kubernetes.pods = values.first == "insecure" ? .insecure : values.first == "verified" ? .verified : .disabled
                case "ttl": kubernetes.timeToLive = try number(values.first)
                case "fallthrough": kubernetes.fallthroughZones = values.map(zone)
                case "kubeconfig": kubernetes.kubeconfig = values.first
                case "endpoint", "tls", "namespaces", "labels", "endpoint_pod_names", "ignore", "noendpoints", "namespace_labels",
                    "apiserver_qps", "startup_timeout":
                    break
                default: throw .malformed(line: option.number, detail: "unknown property '\(option.words.first ?? "")'")
                }
            }
            block.kubernetes = kubernetes
        case "hosts":
            var hosts = CorefileBlock.Hosts()
            if let file = words.first { hosts.file = file }
            for option in line.inner {
                let values = Array(option.words.dropFirst())
                switch option.words.first ?? "" {
                case "ttl": hosts.timeToLive = try number(values.first)
                case "fallthrough": hosts.fallthroughZones = values.map(zone)
                case "reload", "no_reverse": break
                case let address:
                    guard IPv4(address) != nil || address.contains(":"), !values.isEmpty else {
                        throw .malformed(line: option.number, detail: "unknown property '\(address)'")
                    }
                    hosts.entries.append(.init(address: address, names: values.map(zone)))
                }
            }
            block.hosts = hosts
        case "forward":
            guard words.count >= 2 else { throw .malformed(line: line.number, detail: "Wrong argument count or unexpected line ending") }
            var forward = CorefileBlock.Forward(from: zone(words[0]), to: Array(words.dropFirst()))
            for option in line.inner {
                let values = Array(option.words.dropFirst())
                switch option.words.first ?? "" {
                case "except": forward.except += values.map(zone)
                case "force_tcp": forward.prefersTCP = true
                case "max_concurrent": forward.maximumConcurrent = Int(try number(values.first))
                case "prefer_udp", "expire", "max_fails", "tls", "tls_servername", "policy", "health_check", "next": break
                default: throw .malformed(line: option.number, detail: "unknown property '\(option.words.first ?? "")'")
                }
            }
            block.forwards.append(forward)
        case "cache":
            var cache = CorefileBlock.Cache()
            if let seconds = words.first, let value = UInt32(seconds) {
                cache.seconds = value
                cache.denialSeconds = value
            }
            for option in line.inner {
                let values = Array(option.words.dropFirst())
                switch option.words.first ?? "" {
                case "disable":
                    let zones = values.dropFirst().isEmpty ? block.zones : values.dropFirst().map(zone)
                    if values.first == "success" { cache.uncachedSuccess += zones } else { cache.uncachedDenial += zones }
                case "success" where values.count > 1: cache.seconds = try number(values[1])
                case "denial" where values.count > 1: cache.denialSeconds = try number(values[1])
                default: break
                }
            }
            block.cache = cache
        case "rewrite":
            var rest = words[...]
            if rest.first == "stop" || rest.first == "continue" { rest = rest.dropFirst() }
            guard rest.first == "name" else { throw .malformed(line: line.number, detail: "only names are rewritten here") }
            rest = rest.dropFirst()
            if rest.first == "exact" { rest = rest.dropFirst() }
            let names = Array(rest)
            guard names.count == 2, !["regex", "prefix", "suffix", "substring"].contains(names[0]) else {
                throw .malformed(line: line.number, detail: "rewrite name takes two names here")
            }
            block.rewrites[zone(names[0])] = zone(names[1])
        case "template":
            for option in line.inner where option.words.first == "rcode" {
                block.template = option.words.dropFirst().first == "NXDOMAIN" ? .nameError : .refused
            }
        case let name: throw .unknownPlugin(line: line.number, name: name)
        }
    }
}
