// Asks the node's agent about services, through its socket in the node; blocking, for programs that do one thing.
package import Essentials
internal import Kernel

package struct ServiceProblem: Problem, Equatable {
    package var reason: String
    package var message: String
    package init(reason: String, message: String) {
        self.reason = reason
        self.message = message
    }
}

package struct ServiceControl: Sendable {
    package static let socket = "/run/lectern/control.sock"
    private let path: String
    package init(path: String = Self.socket) { self.path = path }

    /// Whether there is a supervisor.
    package var isThere: Bool { ReaperFiles.exists(path) }

    /// Asks and waits for the answer.
    @discardableResult
    package func ask(_ verb: String, unit: String = "") throws(ServiceProblem) -> JSON {
        let (socket, answer, _) = try open(["open": "service", "verb": JSON(verb), "unit": JSON(unit)])
        PTYFiles.close(socket)
        return answer
    }

    /// Calls `line` for each line of a unit's journal, as it stands there, until the end or until `line` says false.
    package func logs(unit: String, last: Int?, follow: Bool, line: (String) -> Bool) throws(ServiceProblem) {
        var request: JSON = ["open": "service", "verb": "logs", "unit": JSON(unit), "follow": JSON(follow)]
        if let last { request["lines"] = JSON(last) }
        var (socket, _, bytes) = try open(request)
        defer { PTYFiles.close(socket) }
        while true {
            while let newline = bytes.firstIndex(of: 0x0A) {
                guard line(String(decoding: bytes[..<newline], as: UTF8.self)) else { return }
                bytes.removeSubrange(...newline)
            }
            guard case .bytes(let more) = PTYFiles.read(socket, limitBytes: 64 << 10) else { return }
            bytes += more
        }
    }

    private func open(_ request: JSON) throws(ServiceProblem) -> (socket: Int32, answer: JSON, rest: [UInt8]) {
        guard let socket = try? PTYFiles.connect(path: path) else {
            throw ServiceProblem(
                reason: "NoSupervisor", message: "System has not been booted with systemd as init system (PID 1). Can't operate.")
        }
        _ = PTYFiles.write(socket, request.bytes + [0x0A])
        var bytes: [UInt8] = []
        while !bytes.contains(0x0A) {
            guard case .bytes(let more) = PTYFiles.read(socket, limitBytes: 64 << 10) else { break }
            bytes += more
        }
        let end = bytes.firstIndex(of: 0x0A) ?? bytes.endIndex
        guard let answer = try? JSON(parsing: Array(bytes[..<end])), answer["ok"]?.bool == true else {
            PTYFiles.close(socket)
            let answer = (try? JSON(parsing: Array(bytes[..<end]))) ?? .null
            throw ServiceProblem(
                reason: answer["reason"]?.string ?? "NoAnswer", message: answer["message"]?.string ?? "The supervisor does not answer.")
        }
        return (socket, answer, Array(bytes.dropFirst(end + 1)))
    }
}
