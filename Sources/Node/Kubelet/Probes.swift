// Asks containers how they are: agents over their socket, others as their Pod's probes say.
internal import ClusterModel
internal import Essentials
internal import Kernel

/// What a probe of a Pod asks, with upstream's defaults.
struct Probe: Sendable, Equatable {
    enum Question: Sendable, Equatable {
        case command([String])
        case connect(port: UInt16)
        case get(path: String, port: UInt16)
    }
    var question: Question
    var initialDelaySeconds: Int
    var periodSeconds: Int
    var timeoutSeconds: Int
    var successThreshold: Int
    var failureThreshold: Int

    init?(_ probe: JSON?, ports: [JSON]) {
        guard let probe else { return nil }
        func port(_ value: JSON?) -> UInt16? {
            if let number = value?.int { return UInt16(exactly: number) }
            let named = ports.first { $0["name"]?.string == value?.string }
            return named?["containerPort"]?.int.flatMap { UInt16(exactly: $0) }
        }
        if let command = probe["exec"]?["command"]?.array {
            question = .command(command.compactMap(\.string))
        } else if let get = probe["httpGet"], let number = port(get["port"]) {
            question = .get(path: get["path"]?.string ?? "/", port: number)
        } else if let number = port(probe["tcpSocket"]?["port"]) {
            question = .connect(port: number)
        } else {
            return nil
        }
        initialDelaySeconds = probe["initialDelaySeconds"]?.int ?? 0
        periodSeconds = max(1, probe["periodSeconds"]?.int ?? 10)
        timeoutSeconds = max(1, probe["timeoutSeconds"]?.int ?? 1)
        successThreshold = max(1, probe["successThreshold"]?.int ?? 1)
        failureThreshold = max(1, probe["failureThreshold"]?.int ?? 3)
    }
}

/// Counts answers until a threshold turns the verdict.
struct ProbeCounter: Sendable {
    let success: Int
    let failure: Int
    private(set) var isHealthy: Bool
    private var inRow = 0

    init(_ probe: Probe, startsHealthy: Bool) {
        success = probe.successThreshold
        failure = probe.failureThreshold
        isHealthy = startsHealthy
    }

    /// The new verdict when it turned.
    mutating func note(_ answer: Bool) -> Bool? {
        guard answer != isHealthy else {
            inRow = 0
            return nil
        }
        inRow += 1
        guard inRow >= (answer ? success : failure) else { return nil }
        inRow = 0
        isHealthy = answer
        return answer
    }
}

extension PodSandboxes {
    private static let agentAnswerLimitBytes = 64 << 10

    /// Whether the pod's agent answers.
    nonisolated func asksAgent(namespace: String, pod: String, readiness: Readiness) async -> Bool {
        guard let socket = try? openAgent(namespace: namespace, pod: pod),
            (try? kernel.send(Array("{\"open\":\"status\"}\n".utf8), to: socket)) != nil
        else { return false }
        var answer: [UInt8] = []
        while !answer.contains(UInt8(ascii: "\n")), answer.count < Self.agentAnswerLimitBytes {
            guard await readiness.wait(for: socket), let more = try? kernel.receive(from: socket, limitBytes: 16384) else { return false }
            if more.isEmpty { break }
            answer += more
        }
        let line = answer.prefix { $0 != UInt8(ascii: "\n") }
        return (try? JSON(parsing: Array(line)))?["ok"]?.bool == true
    }

    nonisolated func answers(_ probe: Probe, namespace: String, pod: String, container: String, readiness: Readiness) async -> Bool {
        await withTaskGroup(of: Bool?.self) { group in
            group.addTask { await self.answer(probe.question, namespace: namespace, pod: pod, container: container, readiness: readiness) }
            group.addTask {
                try? await Task.sleep(for: .seconds(probe.timeoutSeconds))
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? false
        }
    }

    private nonisolated func answer(
        _ question: Probe.Question, namespace: String, pod: String, container: String, readiness: Readiness
    ) async -> Bool {
        switch question {
        case .command(let command):
            guard let process = try? await runInside(command, namespace: namespace, pod: pod, container: container) else { return false }
            guard let exit = await readiness.exit(of: process, kernel: kernel) else {
                try? kernel.kill(process, andWaitSeconds: 1)
                return false
            }
            return exit == .exited(0)
        case .connect(let port):
            guard let socket = try? await openPort(namespace: namespace, pod: pod, port: port) else { return false }
            return await readiness.wait(for: socket, writable: true) && kernel.isConnected(socket)
        case .get(let path, let port):
            guard let socket = try? await openPort(namespace: namespace, pod: pod, port: port),
                await readiness.wait(for: socket, writable: true),
                (try? kernel.send(
                    Array("GET \(path) HTTP/1.1\r\nHost: \(pod)\r\nUser-Agent: kube-probe\r\nConnection: close\r\n\r\n".utf8), to: socket))
                    != nil,
                await readiness.wait(for: socket), let head = try? kernel.receive(from: socket, limitBytes: 4096)
            else { return false }
            let parts = head.prefix { $0 != UInt8(ascii: "\r") }.split(separator: UInt8(ascii: " "))
            guard parts.count > 1, let status = Int(String(decoding: parts[1], as: UTF8.self)) else { return false }
            return (200..<400).contains(status)
        }
    }
}
