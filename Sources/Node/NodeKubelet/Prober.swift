// Asks containers how they are, and runs their hooks: by command, HTTP, TCP or gRPC, with upstream's words for failures.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods
internal import Synchronization
internal import Web

struct Prober: Sendable {
    /// Output of a command that a message shows.
    static let outputLimitBytes = 10 << 10
    /// Of an HTTP answer only the first line counts.
    static let headLimitBytes = 8 << 10

    let runtime: any PodRuntime
    let readiness: Readiness
    let sessions: ProbeSessions

    func ask(_ probe: ProbeSpec, podUID: String, container: String, address: String) async -> ProbeAnswer {
        let limit = probe.timeoutSeconds
        switch probe.question {
        case .exec(let command):
            let result = await execute(command, podUID: podUID, container: container, seconds: limit)
            switch result {
            case .ended(0, _): return .success
            case .ended(_, let output): return .failure(output)
            case .timedOut:
                return .failure("command timed out: \"\(command.joined(separator: " "))\" timed out after \(Self.span(limit))")
            case .refused(let why): return .failure(why)
            }
        case .tcp(let host, let port):
            let place = "\(host.isEmpty ? address : host):\(port)"
            return await connect(host.isEmpty ? address : host, port, seconds: limit).map { .failure("dial tcp \(place): \($0)") }
                ?? .success
        case .http(let scheme, let host, let port, let path, let headers):
            return await get(scheme, host.isEmpty ? address : host, port, path, headers, seconds: limit)
        case .grpc(let port, let service):
            let socket = try? LinuxKernel().connect(address: address, port: port)
            guard let socket else {
                return .failure("timeout: failed to connect service \"\(address):\(port)\" within \(Self.span(limit))")
            }
            let check = GRPCHealth(readiness: readiness, socket: socket, authority: "\(address):\(port)", service: service)
            return await withTimeout(limit) { await check.ask() }
                ?? .failure(
                    "timeout: failed to connect service \"\(address):\(port)\" within \(Self.span(limit)): context deadline exceeded")
        }
    }

    /// Runs a hook; the answer is empty where it went well.
    func run(
        hook: JSON, spec: ContainerSpec, podUID: String, address: String, seconds: Double
    ) async -> String {
        if let exec = hook["exec"] {
            let command = (exec["command"]?.array ?? []).compactMap(\.string)
            switch await execute(command, podUID: podUID, container: spec.name, seconds: seconds) {
            case .ended(0, _): return ""
            case .ended(let code, let output): return "command exited with \(code): \(output)"
            case .timedOut: return "command timed out"
            case .refused(let why): return why
            }
        }
        if let pause = hook["sleep"]?["seconds"]?.int {
            try? await Task.sleep(for: .seconds(min(Double(pause), seconds)))
            return ""
        }
        if let get = hook["httpGet"] {
            guard let port = ProbeSpec.port(get["port"], spec.json["ports"]?.array ?? []) else { return "no such port" }
            let host = get["host"]?.string ?? ""
            let path = get["path"]?.string ?? "/"
            let answer = await self.get(
                (get["scheme"]?.string ?? "HTTP").lowercased(), host.isEmpty ? address : host, port,
                path.hasPrefix("/") ? path : "/" + path,
                (get["httpHeaders"]?.array ?? []).map { [$0["name"]?.string ?? "", $0["value"]?.string ?? ""] }, seconds: seconds)
            if case .failure(let why) = answer { return why }
        }
        return ""
    }

    enum Outcome: Sendable {
        case ended(Int, String)
        case timedOut
        case refused(String)
    }

    func execute(_ command: [String], podUID: String, container: String, seconds: Double) async -> Outcome {
        let streams: any ContainerStreams
        do throws(PodRuntimeProblem) {
            streams = try await runtime.exec(podUID: podUID, container: container, command: command, terminal: false, stdin: false)
        } catch { return .refused(error.message) }
        return await withTaskGroup(of: Outcome.self) { group in
            group.addTask {
                var output: [UInt8] = []
                for await (_, bytes) in streams.output where output.count < Self.outputLimitBytes { output += bytes }
                return .ended(await streams.exitCode(), String(decoding: output.prefix(Self.outputLimitBytes), as: UTF8.self))
            }
            group.addTask {
                try? await Task.sleep(for: .seconds(seconds))
                // Closing kills the command, so that waiting for its end comes to an end.
                await streams.close()
                return .timedOut
            }
            let first = await group.next() ?? .timedOut
            group.cancelAll()
            return first
        }
    }

    /// `nil` where the connection is made.
    private func connect(_ address: String, _ port: UInt16, seconds: Double) async -> String? {
        let kernel = LinuxKernel()
        let socket: OwnedDescriptor
        do throws(KernelProblem) { socket = try kernel.connect(address: address, port: port) } catch {
            return "connect: \(Errno.text(error.code).lowercased())"
        }
        let readiness = readiness
        guard await withTimeout(seconds, { await readiness.wait(for: socket, writable: true) }) == true else { return "i/o timeout" }
        let code = kernel.connectError(socket)
        return code == 0 ? nil : "connect: \(Errno.text(code).lowercased())"
    }

    private func get(_ scheme: String, _ host: String, _ port: UInt16, _ path: String, _ headers: [[String]], seconds: Double) async
        -> ProbeAnswer
    {
        let url = "\(scheme)://\(host):\(port)\(path)"
        if scheme == "http" { return await plainGet(url, host, port, path, headers, seconds: seconds) }
        var fields = [("user-agent", "kube-probe/1.32"), ("accept", "*/*")]
        for header in headers where header.count == 2 { fields.append((header[0], header[1])) }
        let request = HTTPSessionRequest(target: path, headers: fields)
        let late = ProbeAnswer.failure("Get \"\(url)\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        guard let session = sessions.session(host, port) else { return .failure("Get \"\(url)\": no TLS") }
        let answer = await withTimeout(seconds) { () -> ProbeAnswer in
            do throws(WebProblem) {
                let status = try await session.send(request).status
                return (200..<400).contains(status) ? .success : .failure("HTTP probe failed with statuscode: \(status)")
            } catch {
                if case .timedOut = error { return late }
                if case .cannotConnect(let detail) = error { return .failure("Get \"\(url)\": dial tcp \(detail)") }
                return .failure("Get \"\(url)\": \(error.cause ?? error.message)")
            }
        }
        return answer ?? late
    }

    // One connection and no more: some servers take one only.
    private func plainGet(_ url: String, _ host: String, _ port: UInt16, _ path: String, _ headers: [[String]], seconds: Double) async
        -> ProbeAnswer
    {
        let late = ProbeAnswer.failure("Get \"\(url)\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        var fields = ["Host: \(host):\(port)", "User-Agent: kube-probe/1.32", "Accept: */*"]
        for header in headers where header.count == 2 {
            fields.removeAll { $0.lowercased().hasPrefix(header[0].lowercased() + ":") }
            fields.append("\(header[0]): \(header[1])")
        }
        let text = "GET \(path) HTTP/1.1\r\n\(fields.joined(separator: "\r\n"))\r\nConnection: close\r\n\r\n"
        let readiness = readiness
        let kernel = LinuxKernel()
        return await withTimeout(seconds) { () -> ProbeAnswer in
            let socket: OwnedDescriptor
            do throws(KernelProblem) { socket = try kernel.connect(address: host, port: port) } catch {
                return .failure("Get \"\(url)\": dial tcp \(host):\(port): connect: \(Errno.text(error.code).lowercased())")
            }
            guard await readiness.wait(for: socket, writable: true) else { return late }
            let code = kernel.connectError(socket)
            guard code == 0 else {
                return .failure("Get \"\(url)\": dial tcp \(host):\(port): connect: \(Errno.text(code).lowercased())")
            }
            guard (try? kernel.send(Array(text.utf8), to: socket)) != nil else { return .failure("Get \"\(url)\": EOF") }
            var head: [UInt8] = []
            while !head.contains(10), head.count < Self.headLimitBytes {
                guard await readiness.wait(for: socket) else { return late }
                guard let more = try? kernel.receive(from: socket, limitBytes: 4096), !more.isEmpty else { break }
                head += more
            }
            let words = head.prefix { $0 != 13 && $0 != 10 }.split(separator: 32)
            guard words.count > 1, let status = Int(String(decoding: words[1], as: UTF8.self)) else {
                return .failure(
                    "Get \"\(url)\": \(head.isEmpty ? "EOF" : "net/http: HTTP/1.x transport connection broken: malformed HTTP response")")
            }
            return (200..<400).contains(status) ? .success : .failure("HTTP probe failed with statuscode: \(status)")
        } ?? late
    }

    static func span(_ seconds: Double) -> String { PodMachine.span(seconds) }
}

/// `nil` where the body takes longer; it is cancelled then.
func withTimeout<Value: Sendable>(_ seconds: Double, _ body: @escaping @Sendable () async -> Value) async -> Value? {
    await withTaskGroup(of: Value?.self) { group in
        group.addTask { await body() }
        group.addTask {
            try? await Task.sleep(for: .seconds(seconds))
            return nil
        }
        let first = await group.next() ?? nil
        group.cancelAll()
        return first
    }
}

/// Connections over TLS that probes use again: a handshake each second would cost an idle cluster more than all else.
/// Upstream makes a new connection for each probe.
final class ProbeSessions: Sendable {
    /// Servers that are remembered; beyond it all are forgotten.
    static let limit = 64

    private let state = Mutex<[String: HTTPSession]>([:])

    func session(_ host: String, _ port: UInt16) -> HTTPSession? {
        let key = "\(host):\(port)"
        return state.withLock { sessions in
            if let known = sessions[key] { return known }
            if sessions.count >= Self.limit { sessions = [:] }
            var limits = HTTPSessionLimits()
            limits.idleConnections = 1
            limits.answerBytes = 1 << 20
            let made = try? HTTPSession(host: host, port: port, tls: TLSMaterial(insecure: true), limits: limits)
            sessions[key] = made
            return made
        }
    }
}
