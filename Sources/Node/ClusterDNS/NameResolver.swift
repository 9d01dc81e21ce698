// What is answered to a question: decided at once where the cluster or a list of hosts knows, or else by whom to ask.
internal import Essentials
package import Kernel
internal import Synchronization

package struct DNSUpstream: Sendable, Hashable {
    package var servers: [InternetEndpoint]
    package var prefersTCP: Bool
    package var maximumConcurrent: Int
}

package enum DNSDecision: Sendable {
    case answer(DNSAnswer)
    /// An answer as another server gave it.
    case bytes([UInt8])
    /// Ask them for `name`, then put `before` in front of what they say.
    case forward(DNSUpstream, name: String, before: [DNSRecord], CorefileBlock)
}

/// The Corefile with what it names, ready to decide.
package final class NameResolver: Sendable {
    /// CNAMEs that are followed inside the cluster.
    static let chainLimit = 8

    private struct State {
        var names = ServiceNames()
        var serial: UInt32 = 1
        var isSynced = false
        var blocks: [CorefileBlock] = []
        var hosts: [[String: [String]]] = []
        var upstreams: [[DNSUpstream]] = []
        var cache = AnswerCache()
        var turn = 0
    }

    private let state = Mutex(State())

    package init() {}

    package var isReady: Bool { state.withLock { $0.isSynced || !$0.blocks.contains { $0.kubernetes != nil } } }

    package func use(_ names: ServiceNames, serial: UInt32) {
        state.withLock { state in
            state.names = names
            state.serial = serial
            state.isSynced = true
        }
    }

    /// Takes a Corefile. `readFile` reads the files that it names, such as /etc/resolv.conf.
    package func use(_ corefile: Corefile, readFile: (String) -> String?) {
        let hosts = corefile.blocks.map { block -> [String: [String]] in
            var table: [String: [String]] = [:]
            for entry in block.hosts?.entries ?? [] { for name in entry.names { table[name, default: []].append(entry.address) } }
            if let hosts = block.hosts, let text = readFile(hosts.file ?? "/etc/hosts") {
                for line in text.split(separator: "\n") {
                    let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map(String.init)
                    for name in words.dropFirst() { table[Corefile.zone(name), default: []].append(words[0]) }
                }
            }
            return table
        }
        let upstreams = corefile.blocks.map { block in
            block.forwards.map { forward in
                DNSUpstream(
                    servers: Self.servers(forward.to, readFile), prefersTCP: forward.prefersTCP,
                    maximumConcurrent: forward.maximumConcurrent)
            }
        }
        state.withLock { state in
            state.blocks = corefile.blocks
            state.hosts = hosts
            state.upstreams = upstreams
            state.cache = AnswerCache()
        }
    }

    static func servers(_ list: [String], _ readFile: (String) -> String?) -> [InternetEndpoint] {
        list.flatMap { text -> [InternetEndpoint] in
            if text.hasPrefix("/") {
                return (readFile(text) ?? "").split(separator: "\n").compactMap { line in
                    let words = line.split(whereSeparator: \.isWhitespace)
                    guard words.count >= 2, words[0] == "nameserver" else { return nil }
                    return IPv4(String(words[1])).map { InternetEndpoint($0, 53) }
                }
            }
            let plain = text.hasPrefix("dns://") ? String(text.dropFirst(6)) : text
            let parts = plain.split(separator: ":").map(String.init)
            guard let address = parts.first.flatMap({ IPv4($0) }) else { return [] }
            return [InternetEndpoint(address, parts.count > 1 ? UInt16(parts[1]) ?? 53 : 53)]
        }
    }

    package func decide(_ question: DNSQuestion, at now: Double) -> (DNSDecision, CorefileBlock?) {
        state.withLock { state in
            guard let index = Self.block(for: question.name, state.blocks) else {
                return (.answer(DNSAnswer(.refused, isAuthoritative: false)), nil)
            }
            let block = state.blocks[index]
            var name = question.name
            var before: [DNSRecord] = []
            for _ in 0..<Self.chainLimit {
                let asked = name
                let target = block.rewrites[name] ?? name
                switch Self.own(target, question.type, block, state.hosts[index], state) {
                case .some(var answer):
                    // Answers bear the name that was asked for, whatever it stood for.
                    if target != asked { answer.answers = answer.answers.map { $0.named(asked, insteadOf: target) } }
                    if let alias = answer.answers.first, answer.answers.count == 1, case .name(DNSType.cname, let next) = alias.data,
                        question.type != DNSType.cname, question.type != DNSType.any
                    {
                        before.append(alias)
                        name = next
                        continue
                    }
                    answer.answers = before + answer.answers
                    if block.rotates { Self.rotate(&answer, &state.turn) }
                    return (.answer(answer), block)
                case nil:
                    let key = AnswerCache.Key(
                        name: question.name, type: question.type, wantsSignatures: question.wantsSignatures,
                        checksDisabled: question.checksDisabled)
                    if block.cache != nil, let bytes = state.cache.answer(to: question, key: key, at: now) {
                        return (.bytes(bytes), block)
                    }
                    for (number, forward) in block.forwards.enumerated()
                    where Self.belongs(target, forward.from) && !forward.except.contains(where: { Self.belongs(target, $0) }) {
                        guard !state.upstreams[index][number].servers.isEmpty else { continue }
                        return (.forward(state.upstreams[index][number], name: target, before: before, block), block)
                    }
                    if !before.isEmpty { return (.answer(DNSAnswer(records: before)), block) }
                    return (.answer(DNSAnswer(block.template ?? .refused, isAuthoritative: false)), block)
                }
            }
            return (.answer(DNSAnswer(.serverFailure, isAuthoritative: false)), block)
        }
    }

    /// Remembers what another server answered.
    package func keep(_ bytes: [UInt8], for question: DNSQuestion, _ block: CorefileBlock, at now: Double) {
        guard let cache = block.cache, let (seconds, isDenial, places) = AnswerCache.inspect(bytes) else { return }
        let uncached = isDenial ? cache.uncachedDenial : cache.uncachedSuccess
        guard !uncached.contains(where: { Self.belongs(question.name, $0) }) else { return }
        let key = AnswerCache.Key(
            name: question.name, type: question.type, wantsSignatures: question.wantsSignatures, checksDisabled: question.checksDisabled)
        let limit = isDenial ? cache.denialSeconds : cache.seconds
        state.withLock { $0.cache.keep(bytes, for: key, at: now, seconds: min(seconds, limit), timesToLive: places) }
    }

    static func belongs(_ name: String, _ zone: String) -> Bool { zone.isEmpty || name == zone || name.hasSuffix("." + zone) }

    private static func block(for name: String, _ blocks: [CorefileBlock]) -> Int? {
        var best: (index: Int, length: Int)?
        for (index, block) in blocks.enumerated() {
            for zone in block.zones where belongs(name, zone) && zone.utf8.count > best?.length ?? -1 { best = (index, zone.utf8.count) }
        }
        return best?.index
    }

    /// What hosts and the cluster say; nil when others are to be asked.
    private static func own(
        _ name: String, _ type: UInt16, _ block: CorefileBlock, _ hosts: [String: [String]], _ state: State
    ) -> DNSAnswer? {
        if let settings = block.hosts, let addresses = hosts[name] {
            let records = addresses.compactMap { text -> DNSRecord? in
                guard type == DNSType.a, let address = IPv4(text) else { return nil }
                return DNSRecord(name, settings.timeToLive, .address(address))
            }
            return DNSAnswer(records: records)
        }
        if let settings = block.hosts, hosts[name] == nil, settings.fallthroughZones == nil, block.kubernetes == nil, block.forwards.isEmpty
        {
            return DNSAnswer(.nameError)
        }
        guard let kubernetes = block.kubernetes else { return nil }
        for text in kubernetes.zones where belongs(name, text) {
            let zone = ClusterZone(name: text, timeToLive: kubernetes.timeToLive, pods: kubernetes.pods)
            guard state.isSynced else { return DNSAnswer(.serverFailure, isAuthoritative: false) }
            if text.hasSuffix("arpa") {
                var named = zone
                named.name = kubernetes.zones.first { !$0.hasSuffix("arpa") } ?? "cluster.local"
                if let answer = state.names.answer(reverse: name, type, in: named) { return answer }
                if falls(name, kubernetes.fallthroughZones) { return nil }
                return DNSAnswer(.nameError, authority: [DNSRecord(text, min(zone.timeToLive, 30), .authority(text, serial: state.serial))])
            }
            let answer = state.names.answer(name, type, in: zone, serial: state.serial)
            if answer.code == .nameError, falls(name, kubernetes.fallthroughZones) { return nil }
            return answer
        }
        return nil
    }

    private static func falls(_ name: String, _ zones: [String]?) -> Bool {
        guard let zones else { return false }
        return zones.isEmpty || zones.contains { belongs(name, $0) }
    }

    private static func rotate(_ answer: inout DNSAnswer, _ turn: inout Int) {
        let addresses = answer.answers.filter { $0.type == DNSType.a }
        guard addresses.count > 1 else { return }
        turn &+= 1
        let start = turn % addresses.count
        let others = answer.answers.filter { $0.type != DNSType.a }
        answer.answers = others + addresses[start...] + addresses[..<start]
    }
}

extension DNSRecord {
    func named(_ name: String, insteadOf other: String) -> DNSRecord {
        guard self.name == other else { return self }
        var record = self
        record.name = name
        return record
    }
}
