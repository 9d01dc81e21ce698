// The line that opens a stream: what is asked for, checked.
package import Essentials
internal import Kernel

/// Why the agent says no.
package enum AgentProblem: Problem, Equatable {
    case badRequest(String)
    case terminalNotFound(String)
    case terminalLimit
    case viewerLimit
    case execLimit
    case feedLimit
    case noSuchUnit(String)
    case failed(String)

    package var reason: String {
        switch self {
        case .badRequest: "BadRequest"
        case .terminalNotFound: "TerminalNotFound"
        case .terminalLimit: "TerminalLimit"
        case .viewerLimit: "ViewerLimit"
        case .execLimit: "ExecLimit"
        case .feedLimit: "FeedLimit"
        case .noSuchUnit: "NoSuchUnit"
        case .failed: "Failed"
        }
    }

    package var message: String {
        switch self {
        case .badRequest(let what): what
        case .terminalNotFound(let name): "There is no terminal \(name) on this node."
        case .terminalLimit: "This node has \(AgentLimits.terminals) terminals already; close one first."
        case .viewerLimit: "This terminal has \(AgentLimits.viewersPerTerminal) viewers already."
        case .feedLimit: "\(AgentLimits.clusterFeeds) pages follow this node's cluster already."
        case .execLimit: "This node runs \(AgentLimits.execs) commands already."
        case .noSuchUnit(let name): "Unit \(name) could not be found."
        case .failed(let what): what
        }
    }
}

/// A request, read from its JSON line.
package enum AgentRequest: Equatable {
    package struct TerminalRequest: Equatable {
        package var name: String
        package var create: Bool
        package var columns: Int
        package var rows: Int
        package var resume: UInt64?
        package var role: TerminalSession.Role
        package var viewer: String

        package init(name: String, create: Bool, columns: Int, rows: Int, resume: UInt64?, role: TerminalSession.Role, viewer: String) {
            self.name = name
            self.create = create
            self.columns = columns
            self.rows = rows
            self.resume = resume
            self.role = role
            self.viewer = viewer
        }
    }

    package struct ExecRequest: Equatable {
        package var command: [String]
        package var timeoutSeconds: Int
        package var environment: [String: String]
        package var workingDirectory: String
    }

    package struct WriteRequest: Equatable {
        package var path: String
        package var mode: UInt32
        package var size: Int
        package var makeParents: Bool
    }

    case terminal(TerminalRequest)
    case exec(ExecRequest)
    case status
    case cluster
    case writeFile(WriteRequest)
    case readFile(path: String, limitBytes: Int)
    case closeTerminal(name: String)
    case service(ServiceRequest)

    package init(_ header: JSON) throws(AgentProblem) {
        guard let open = header["open"]?.string else { throw .badRequest("`open` is missing.") }
        switch open {
        case "terminal":
            self = .terminal(
                TerminalRequest(
                    name: try Self.terminalName(header), create: header["create"]?.bool ?? true, columns: header["columns"]?.int ?? 80,
                    rows: header["rows"]?.int ?? 24, resume: try Self.offset(header), role: try Self.role(header),
                    viewer: try Self.viewer(header)))
        case "close-terminal": self = .closeTerminal(name: try Self.terminalName(header))
        case "exec": self = .exec(try Self.exec(header))
        case "status": self = .status
        case "cluster": self = .cluster
        case "write-file":
            guard let size = header["size"]?.int, (0...AgentLimits.fileBytes).contains(size) else {
                throw .badRequest("`size` must be 0 to \(AgentLimits.fileBytes) bytes.")
            }
            guard let mode = UInt32(exactly: header["mode"]?.int ?? 0o644), mode <= 0o7777 else {
                throw .badRequest("`mode` is not a file mode.")
            }
            self = .writeFile(
                WriteRequest(path: try Self.path(header), mode: mode, size: size, makeParents: header["parents"]?.bool ?? false))
        case "read-file":
            let limit = header["limitBytes"]?.int ?? AgentLimits.fileBytes
            guard (0...AgentLimits.fileBytes).contains(limit) else {
                throw .badRequest("`limitBytes` must be 0 to \(AgentLimits.fileBytes).")
            }
            self = .readFile(path: try Self.path(header), limitBytes: limit)
        case "service": self = .service(try Self.service(header))
        default: throw .badRequest("`open` must be terminal, close-terminal, exec, status, write-file, read-file or service.")
        }
    }

    private static func service(_ header: JSON) throws(AgentProblem) -> ServiceRequest {
        guard let verb = ServiceRequest.Verb(rawValue: header["verb"]?.string ?? "") else { throw .badRequest("`verb` is unknown.") }
        let unit = header["unit"]?.string ?? ""
        guard unit.utf8.count <= 255, !unit.utf8.contains(0x2F) else { throw .badRequest("`unit` is no name of a unit.") }
        return ServiceRequest(
            verb: verb, unit: unit, lines: header["lines"]?.int.map { max(0, $0) }, follow: header["follow"]?.bool ?? false)
    }

    private static func terminalName(_ header: JSON) throws(AgentProblem) -> String {
        guard let name = header["name"]?.string, (1...16).contains(name.utf8.count),
            name.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
        else { throw .badRequest("A terminal's name is 1 to 16 of a-z, 0-9 and -.") }
        return name
    }

    private static func offset(_ header: JSON) throws(AgentProblem) -> UInt64? {
        guard let value = header["resume"], !value.isNull else { return nil }
        guard let offset = value.integer.flatMap(UInt64.init(exactly:)) else { throw .badRequest("`resume` is not an offset.") }
        return offset
    }

    private static func role(_ header: JSON) throws(AgentProblem) -> TerminalSession.Role {
        guard let role = TerminalSession.Role(rawValue: header["role"]?.string ?? "write") else {
            throw .badRequest("`role` must be write or view.")
        }
        return role
    }

    private static func viewer(_ header: JSON) throws(AgentProblem) -> String {
        let name = header["viewer"]?.string ?? ""
        guard name.utf8.count <= 64 else { throw .badRequest("`viewer` is longer than 64 bytes.") }
        return name
    }

    private static func path(_ header: JSON) throws(AgentProblem) -> String {
        guard let path = header["path"]?.string, path.hasPrefix("/"), path.utf8.count <= 1024, !path.utf8.contains(0), !path.hasSuffix("/"),
            !path.split(separator: "/").contains("..")
        else { throw .badRequest("`path` must be absolute, name a file and have no `..`.") }
        return path
    }

    private static func exec(_ header: JSON) throws(AgentProblem) -> ExecRequest {
        let command = (header["command"]?.array ?? []).compactMap(\.string)
        guard let first = command.first, !first.isEmpty, command.count == header["command"]?.array?.count, command.count <= 1024,
            command.allSatisfy({ !$0.utf8.contains(0) })
        else { throw .badRequest("`command` must be a list of strings that begins with a program.") }
        let seconds = header["timeoutSeconds"]?.int ?? 30
        guard (1...AgentLimits.execSeconds).contains(seconds) else {
            throw .badRequest("`timeoutSeconds` must be 1 to \(AgentLimits.execSeconds).")
        }
        let environment = header["environment"]?.strings ?? [:]
        guard
            environment.allSatisfy({
                !$0.key.isEmpty && !$0.key.utf8.contains(0x3D) && !$0.key.utf8.contains(0) && !$0.value.utf8.contains(0)
            })
        else { throw .badRequest("`environment` has a name or value that cannot be.") }
        let directory = header["workingDirectory"]?.string ?? "/root"
        guard directory.hasPrefix("/"), !directory.utf8.contains(0) else { throw .badRequest("`workingDirectory` must be absolute.") }
        return ExecRequest(command: command, timeoutSeconds: seconds, environment: environment, workingDirectory: directory)
    }
}

extension AgentRequest {
    /// Begins what a stream asks for; nil when it is already answered.
    static func open(_ header: JSON, on connection: Connection) throws -> (any Purpose)? {
        let loop = connection.loop
        switch try AgentRequest(header) {
        case .terminal(let request):
            let terminal = try Terminal.find(request, in: loop)
            return terminal.attach(connection, request)
        case .closeTerminal(let name):
            guard let terminal = loop.terminals[name] else { throw AgentProblem.terminalNotFound(name) }
            terminal.remove()
            connection.answer(["ok": true])
        case .exec(let request): return try ExecJob(request, connection: connection)
        case .cluster: return try ClusterJob(connection: connection)
        case .status: connection.answer(NodeStatus.report(loop))
        case .writeFile(let request): return FileWriting(request)
        case .service(let request):
            guard let services = loop.services else { throw AgentProblem.noSuchUnit(request.unit) }
            return try services.open(request, on: connection)
        case .readFile(let path, let limit):
            let bytes = try ReaperFiles.read(path, limitBytes: limit)
            connection.answer(["ok": true, "size": JSON(bytes.count)])
            connection.send(bytes)
        }
        connection.closeWhenSent()
        return nil
    }
}

/// Takes a file's bytes and puts it in place when all are there.
private final class FileWriting: Purpose {
    let request: AgentRequest.WriteRequest
    init(_ request: AgentRequest.WriteRequest) { self.request = request }

    func received(_ connection: Connection) {
        guard connection.incoming.count >= request.size else { return }
        let bytes = Array(connection.incoming.prefix(request.size))
        do {
            try ReaperFiles.replace(request.path, with: bytes, mode: request.mode, makeParents: request.makeParents)
            connection.answer(["ok": true, "size": JSON(bytes.count)])
            connection.closeWhenSent()
        } catch {
            connection.refuse(error.reason, error.message)
        }
    }

    func drained(_ connection: Connection) {}
    func closed(_ connection: Connection) {}
}
