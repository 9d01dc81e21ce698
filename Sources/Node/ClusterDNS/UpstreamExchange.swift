// Asks another server: by UDP, by TCP when the answer is cut or that is wished, the next server when one does not answer.
internal import Essentials
internal import Kernel

struct UpstreamExchange: Sendable {
    /// How long one server has, in milliseconds.
    static let attemptMilliseconds = 2000
    static let answerLimitBytes = 65_535

    enum Failure: Error {
        case timedOut(InternetEndpoint)
        case refused(InternetEndpoint)
        case unreachable(InternetEndpoint)

        var text: String {
            switch self {
            case .timedOut(let server): "read udp ->\(server): i/o timeout"
            case .refused(let server): "read udp ->\(server): read: connection refused"
            case .unreachable(let server): "dial udp \(server): connect: network is unreachable"
            }
        }
    }

    let readiness: Readiness

    /// The answer as it came, with an identifier of its own. `wantsWhole`: a cut answer is of no use.
    func ask(_ upstream: DNSUpstream, _ question: DNSQuestion, name: String, wantsWhole: Bool) async -> Result<[UInt8], Failure> {
        var failure = Failure.unreachable(upstream.servers.first ?? InternetEndpoint(IPv4(0), 53))
        for server in upstream.servers.prefix(3) {
            let query = Self.query(question, name: name)
            if !upstream.prefersTCP {
                switch await byDatagram(query, server) {
                case .success(let answer):
                    guard answer[2] & 0x02 != 0, wantsWhole else { return .success(answer) }
                case .failure(let problem):
                    failure = problem
                    continue
                }
            }
            switch await byConnection(query, server) {
            case .success(let answer): return .success(answer)
            case .failure(let problem): failure = problem
            }
            if Task.isCancelled { break }
        }
        return .failure(failure)
    }

    static func query(_ question: DNSQuestion, name: String) -> [UInt8] {
        let identifier = UInt16.random(in: 0 ... .max)
        var bytes = [UInt8(identifier >> 8), UInt8(identifier & 0xFF), question.wantsRecursion ? 1 : 0, question.checksDisabled ? 0x10 : 0]
        bytes += [0, 1, 0, 0, 0, 0, 0, 1]
        for label in name.split(separator: ".") {
            bytes.append(UInt8(min(63, label.utf8.count)))
            bytes += Array(label.utf8.prefix(63))
        }
        bytes += [0, UInt8(question.type >> 8), UInt8(question.type & 0xFF), 0, 1]
        // EDNS: 1232 bytes, which pass every link whole.
        bytes += [0, 0, 41, 0x04, 0xD0, 0, 0, question.wantsSignatures ? 0x80 : 0, 0, 0, 0]
        return bytes
    }

    /// Whether `answer` is one to `query`: what anybody else could send must not be taken.
    static func belongs(_ answer: [UInt8], to query: [UInt8]) -> Bool {
        guard answer.count >= 12, answer[0] == query[0], answer[1] == query[1], answer[2] & 0x80 != 0 else { return false }
        var asked = DNSReader(query, at: 12)
        var answered = DNSReader(answer, at: 12)
        // Some servers leave the question out of a refusal.
        if answer[4] == 0, answer[5] == 0 { return answer[3] & 15 != 0 }
        return asked.name() == answered.name() && asked.number() == answered.number()
    }

    private func byDatagram(_ query: [UInt8], _ server: InternetEndpoint) async -> Result<[UInt8], Failure> {
        guard let socket = try? InternetSockets.connect(to: server, datagrams: true) else { return .failure(.unreachable(server)) }
        defer { socket.close() }
        guard InternetSockets.write(query[...], to: socket) == query.count else { return .failure(.unreachable(server)) }
        let end = monotonicSeconds() + Double(Self.attemptMilliseconds) / 1000
        while monotonicSeconds() < end {
            guard await wait(socket, until: end) else { return .failure(.timedOut(server)) }
            guard let (bytes, _) = InternetSockets.receive(socket, limitBytes: 4096) else { return .failure(.refused(server)) }
            if Self.belongs(bytes, to: query) { return .success(bytes) }
        }
        return .failure(.timedOut(server))
    }

    private func byConnection(_ query: [UInt8], _ server: InternetEndpoint) async -> Result<[UInt8], Failure> {
        let end = monotonicSeconds() + Double(Self.attemptMilliseconds) / 1000
        guard let socket = try? InternetSockets.connect(to: server) else { return .failure(.unreachable(server)) }
        defer { socket.close() }
        guard await wait(socket, writable: true, until: end) else { return .failure(.timedOut(server)) }
        let kernel = LinuxKernel()
        guard kernel.isConnected(socket) else { return .failure(.refused(server)) }
        let message = [UInt8(query.count >> 8), UInt8(query.count & 0xFF)] + query
        guard InternetSockets.write(message[...], to: socket) == message.count else { return .failure(.refused(server)) }
        var buffer: [UInt8] = []
        while await wait(socket, until: end) {
            do throws(KernelProblem) {
                guard let more = try kernel.receive(from: socket, limitBytes: 16_384) else { continue }
                guard !more.isEmpty else { return .failure(.refused(server)) }
                buffer += more
            } catch { return .failure(.refused(server)) }
            guard buffer.count >= 2 else { continue }
            let size = Int(buffer[0]) << 8 | Int(buffer[1])
            guard buffer.count >= size + 2 else { continue }
            let answer = Array(buffer[2..<(size + 2)])
            return Self.belongs(answer, to: query) ? .success(answer) : .failure(.refused(server))
        }
        return .failure(.timedOut(server))
    }

    private func wait(_ socket: OwnedDescriptor, writable: Bool = false, until end: Double) async -> Bool {
        await readiness.wait(for: socket, writable: writable, seconds: end - monotonicSeconds())
    }
}

extension Readiness {
    /// As `wait(for:)`, and false when the time is over first.
    func wait(for descriptor: OwnedDescriptor, writable: Bool = false, seconds: Double) async -> Bool {
        guard seconds > 0 else { return false }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.wait(for: descriptor, writable: writable) }
            group.addTask {
                try? await Task.sleep(for: .seconds(seconds))
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }
}
