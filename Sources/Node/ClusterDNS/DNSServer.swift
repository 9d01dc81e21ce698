// Names of services and pods: what CoreDNS does in a cluster, in the common form of its Corefile.
//
// What the cluster knows is answered at once, on the thread that received the question; only what another server is to be
// asked for takes a task of its own.
//
// May touch: sockets on the Corefile's port, and to the servers it names. Callers: labkube.
internal import Essentials
package import Kernel
internal import Synchronization

package final class DNSServer: Sendable {
    /// Questions for other servers, and connections, that wait for a task; more are refused.
    static let queueLimit = 2048
    static let connectionLimit = 256
    /// Seconds that a connection may stand without a question.
    static let idleSeconds = 10.0
    static let questionLimitBytes = 4096
    /// Bytes of an answer by UDP: what passes every link whole.
    static let datagramLimitBytes = 1232

    private enum Job: Sendable {
        case forward(Forward)
        case connection(OwnedDescriptor, InternetEndpoint)
    }

    private struct Forward: Sendable {
        var question: DNSQuestion
        var upstream: DNSUpstream
        var name: String
        var before: [DNSRecord]
        var block: CorefileBlock
        var limit: Int
        var asker: Asker
    }

    private struct Asker: Sendable {
        var client: InternetEndpoint
        var isStream: Bool
        var receivedAt: Double
        var bytes: Int
        var reply: @Sendable ([UInt8]) -> Void
    }

    package struct Counts: Sendable {
        package var questions = 0
        package var forwarded = 0
        package var connections = 0
        package var failures = 0
    }

    private let resolver: NameResolver
    private let endpoint: InternetEndpoint
    private let readiness: Readiness
    private let networkNamespace: String?
    private let jobs: AsyncStream<Job>
    private let input: AsyncStream<Job>.Continuation
    private let tally = Mutex(Counts())
    private let underWay = Mutex(0)
    private let sockets = Mutex<[(OwnedDescriptor, UInt64)]>([])
    private let write: @Sendable (String) -> Void

    /// `write` takes lines for the log. `networkNamespace`: nil for the caller's own.
    package init(
        resolver: NameResolver, at endpoint: InternetEndpoint, readiness: Readiness, networkNamespace: String? = nil,
        write: @escaping @Sendable (String) -> Void
    ) {
        self.resolver = resolver
        self.endpoint = endpoint
        self.readiness = readiness
        self.networkNamespace = networkNamespace
        self.write = write
        (jobs, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueLimit))
    }

    /// Servers for every address there is, one a port, on one thread.
    package static func started(
        _ resolver: NameResolver, ports: Set<UInt16>, write: @escaping @Sendable (String) -> Void
    ) throws(KernelProblem) -> [DNSServer] {
        let readiness = if let shared = Readiness.shared { shared } else { try Readiness() }
        var servers: [DNSServer] = []
        for port in ports.sorted() {
            let server = DNSServer(resolver: resolver, at: InternetEndpoint(IPv4(0), port), readiness: readiness, write: write)
            _ = try server.start()
            servers.append(server)
        }
        return servers
    }

    package var counts: Counts { tally.withLock { $0 } }

    /// Opens the sockets; returns the port.
    package func start() throws(KernelProblem) -> UInt16 {
        let datagrams = try InternetSockets.datagrams(at: endpoint, in: networkNamespace)
        let port = InternetSockets.port(of: datagrams)
        let listener = try InternetSockets.listener(at: InternetEndpoint(endpoint.address, port), in: networkNamespace)
        let first = try readiness.watch(datagrams) { [weak self] in
            self?.drain(datagrams)
            return self == nil ? .stop : .again
        }
        let second = try readiness.watch(listener) { [weak self] in
            guard let self else { return .stop }
            while let (connection, client) = InternetSockets.accept(listener) { take(.connection(connection, client)) }
            return .again
        }
        sockets.withLock { $0 += [(datagrams, first), (listener, second)] }
        return port
    }

    /// Works until cancelled, then closes the sockets.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await job in jobs {
                group.addTask {
                    switch job {
                    case .forward(let forward): await self.forward(forward)
                    case .connection(let connection, let client): await self.serve(connection, client)
                    }
                }
            }
            group.cancelAll()
        }
        for (socket, watch) in sockets.withLock({ $0 }) {
            readiness.cancel(watch)
            socket.close()
        }
    }

    @discardableResult
    private func take(_ job: Job) -> Bool {
        if case .enqueued = input.yield(job) { return true }
        return false
    }

    private func drain(_ socket: OwnedDescriptor) {
        // Others' descriptors wait on the same thread.
        for _ in 0..<64 {
            guard let (bytes, client) = InternetSockets.receive(socket, limitBytes: Self.questionLimitBytes) else { return }
            answer(
                bytes,
                Asker(client: client, isStream: false, receivedAt: monotonicSeconds(), bytes: bytes.count) { answer in
                    InternetSockets.send(answer, to: client, from: socket)
                })
        }
    }

    private func answer(_ bytes: [UInt8], _ asker: Asker) {
        tally.withLock { $0.questions += 1 }
        switch DNSQuestion.read(bytes) {
        case .ignored: break
        case .refused(let code, let identifier, let wantsRecursion, let operation):
            asker.reply(DNSAnswer.refusal(code, identifier: identifier, wantsRecursion: wantsRecursion, operation: operation))
        case .question(let question):
            let limit = asker.isStream ? 65_535 : min(question.payloadBytes, Self.datagramLimitBytes)
            let (decision, block) = resolver.decide(question, at: asker.receivedAt)
            switch decision {
            case .answer(let answer): finish(answer.bytes(to: question, limit: limit), question, block, asker)
            case .bytes(let bytes): finish(Self.cut(bytes, to: limit, question), question, block, asker)
            case .forward(let upstream, let name, let before, let block):
                let forward = Forward(
                    question: question, upstream: upstream, name: name, before: before, block: block, limit: limit, asker: asker)
                let isTaken = underWay.withLock { count in
                    guard count < upstream.maximumConcurrent else { return false }
                    count += 1
                    return true
                }
                if isTaken, take(.forward(forward)) { return }
                if isTaken { underWay.withLock { $0 -= 1 } }
                finish(DNSAnswer(.refused, isAuthoritative: false).bytes(to: question, limit: limit), question, block, asker)
            }
        }
    }

    private func forward(_ job: Forward) async {
        defer { underWay.withLock { $0 -= 1 } }
        tally.withLock { $0.forwarded += 1 }
        let result = await UpstreamExchange(readiness: readiness).ask(
            job.upstream, job.question, name: job.name, wantsWhole: job.asker.isStream || !job.before.isEmpty)
        switch result {
        case .success(let bytes):
            let isPlain = job.before.isEmpty && job.name == job.question.name
            let answer = isPlain ? Self.addressed(bytes, to: job.question) : Self.rewritten(bytes, job.question, job.name, job.before)
            resolver.keep(answer, for: job.question, job.block, at: job.asker.receivedAt)
            finish(Self.cut(answer, to: job.limit, job.question), job.question, job.block, job.asker)
        case .failure(let failure):
            tally.withLock { $0.failures += 1 }
            if job.block.logsErrors {
                write("[ERROR] plugin/errors: 2 \(job.question.name). \(DNSType.text(job.question.type)): \(failure.text)")
            }
            let answer = DNSAnswer(.serverFailure, isAuthoritative: false, job.before)
            finish(answer.bytes(to: job.question, limit: job.limit), job.question, job.block, job.asker)
        }
    }

    /// Another server's answer with the client's own identifier and spelling; without EDNS where the client has none.
    static func addressed(_ bytes: [UInt8], to question: DNSQuestion) -> [UInt8] {
        guard bytes[4] == 0, bytes[5] == 1, bytes.count >= 12 + question.section.count, question.hasEDNS else {
            return rewritten(bytes, question, question.name, [])
        }
        var answer = bytes
        answer.replaceSubrange(0..<2, with: [UInt8(question.identifier >> 8), UInt8(question.identifier & 0xFF)])
        answer.replaceSubrange(12..<(12 + question.section.count), with: question.section)
        answer[3] |= 0x80
        return answer
    }

    /// Writes an answer anew, with `before` in front of it, from the records whose form is known here.
    static func rewritten(_ bytes: [UInt8], _ question: DNSQuestion, _ name: String, _ before: [DNSRecord]) -> [UInt8] {
        var reader = DNSReader(bytes, at: 4)
        let counts = (0..<4).map { _ in Int(reader.number() ?? 0) }
        for _ in 0..<counts[0] { _ = (reader.name(), reader.number(), reader.number()) }
        var sections: [[DNSRecord]] = [[], [], []]
        for (section, count) in counts.dropFirst().enumerated() {
            for _ in 0..<count {
                guard let record = reader.record() else { break }
                if let known = known(record, bytes) {
                    sections[section].append(before.isEmpty && name != question.name ? known.named(question.name, insteadOf: name) : known)
                }
            }
        }
        let answer = DNSAnswer(
            DNSCode(rawValue: bytes[3] & 15) ?? .serverFailure, isAuthoritative: false, before + sections[0], authority: [],
            additional: sections[2])
        var result = answer.bytes(to: question, limit: 65_535)
        result[2] |= bytes[2] & 0x02
        return result
    }

    private static func known(_ record: DNSReader.Record, _ bytes: [UInt8]) -> DNSRecord? {
        let data = Array(bytes[record.data])
        var reader = DNSReader(bytes, at: record.data.lowerBound)
        switch record.type {
        case DNSType.a where data.count == 4:
            let address = IPv4(data.reduce(0) { $0 << 8 | UInt32($1) })
            return DNSRecord(record.name, record.timeToLive, .address(address))
        case DNSType.aaaa where data.count == 16: return DNSRecord(record.name, record.timeToLive, .address6(data))
        case DNSType.cname, DNSType.ptr, DNSType.ns:
            return reader.name().map { DNSRecord(record.name, record.timeToLive, .name(record.type, $0)) }
        case DNSType.srv:
            guard let priority = reader.number(), let weight = reader.number(), let port = reader.number(), let target = reader.name()
            else {
                return nil
            }
            return DNSRecord(record.name, record.timeToLive, .service(priority: priority, weight: weight, port: port, target: target))
        case DNSType.txt where data.count > 1 && Int(data[0]) == data.count - 1:
            return DNSRecord(record.name, record.timeToLive, .text(String(decoding: data.dropFirst(), as: UTF8.self)))
        default: return nil
        }
    }

    /// An answer that is too long for a datagram tells the client to ask by TCP.
    static func cut(_ bytes: [UInt8], to limit: Int, _ question: DNSQuestion) -> [UInt8] {
        guard bytes.count > limit else { return bytes }
        var empty = DNSAnswer(DNSCode(rawValue: bytes[3] & 15) ?? .success, isAuthoritative: false).bytes(to: question, limit: limit)
        empty[2] |= 0x02
        return empty
    }

    private func finish(_ answer: [UInt8], _ question: DNSQuestion, _ block: CorefileBlock?, _ asker: Asker) {
        asker.reply(answer)
        guard block?.logsQueries == true else { return }
        let code = DNSCode(rawValue: answer[3] & 15) ?? .success
        let flags =
            ["qr"] + (answer[2] & 4 != 0 ? ["aa"] : []) + (answer[2] & 2 != 0 ? ["tc"] : []) + (answer[2] & 1 != 0 ? ["rd"] : []) + ["ra"]
        let micro = Int((monotonicSeconds() - asker.receivedAt) * 1e6)
        let seconds = "0." + String(repeating: "0", count: max(0, 6 - String(micro).count)) + "\(micro)s"
        write(
            "[INFO] \(asker.client) - \(question.identifier) \"\(DNSType.text(question.type)) IN \(question.name). "
                + "\(asker.isStream ? "tcp" : "udp") \(asker.bytes) \(question.wantsSignatures) \(question.payloadBytes)\" "
                + "\(code.text) \(flags.joined(separator: ",")) \(answer.count) \(seconds)")
    }

    private func serve(_ connection: OwnedDescriptor, _ client: InternetEndpoint) async {
        let isTaken = tally.withLock { counts in
            guard counts.connections < Self.connectionLimit else { return false }
            counts.connections += 1
            return true
        }
        guard isTaken else { return connection.close() }
        defer {
            tally.withLock { $0.connections -= 1 }
            connection.close()
        }
        let outgoing = StreamReplies(connection)
        var buffer: [UInt8] = []
        while await readiness.wait(for: connection, seconds: Self.idleSeconds) {
            guard let more = try? LinuxKernel().receive(from: connection, limitBytes: Self.questionLimitBytes), !more.isEmpty else {
                return
            }
            buffer += more
            while buffer.count >= 2 {
                let size = Int(buffer[0]) << 8 | Int(buffer[1])
                guard size >= 12, size <= Self.questionLimitBytes else { return }
                guard buffer.count >= size + 2 else { break }
                let question = Array(buffer[2..<(size + 2)])
                buffer.removeFirst(size + 2)
                answer(
                    question,
                    Asker(client: client, isStream: true, receivedAt: monotonicSeconds(), bytes: size) { outgoing.send($0) })
            }
            guard await outgoing.flush(readiness) else { return }
        }
        // What other servers were asked for may still be on its way.
        _ = await outgoing.flush(readiness)
    }
}

/// Answers on their way to one connection.
private final class StreamReplies: Sendable {
    /// Bytes that wait for a client that does not read; above this it is cut off.
    static let limitBytes = 1 << 20

    private let connection: OwnedDescriptor
    private let waiting = Mutex<[UInt8]>([])

    init(_ connection: OwnedDescriptor) { self.connection = connection }

    func send(_ answer: [UInt8]) {
        waiting.withLock { waiting in
            guard waiting.count < Self.limitBytes else { return connection.close() }
            waiting += [UInt8(answer.count >> 8), UInt8(answer.count & 0xFF)] + answer
            push(&waiting)
        }
    }

    private func push(_ waiting: inout [UInt8]) {
        let count = InternetSockets.write(waiting[...], to: connection)
        if count > 0 { waiting.removeFirst(count) }
        if count < 0 { waiting = [] }
    }

    /// False when the client does not take its answers in time.
    func flush(_ readiness: Readiness) async -> Bool {
        while true {
            let isEmpty = waiting.withLock { waiting in
                if !waiting.isEmpty { push(&waiting) }
                return waiting.isEmpty
            }
            if isEmpty { return true }
            guard await readiness.wait(for: connection, writable: true, seconds: DNSServer.idleSeconds) else { return false }
        }
    }
}
