// The services of a node: finds their units, starts the enabled ones, and answers `systemctl` and `journalctl`.
internal import Essentials
internal import Kernel

/// What a stream asks about services.
package struct ServiceRequest: Equatable {
    package enum Verb: String {
        case start, stop, restart, enable, disable, status, list, cat, logs
        case reload = "daemon-reload"
    }
    package var verb: Verb
    package var unit: String
    /// For `logs`: the last so many; nil: all.
    package var lines: Int?
    package var follow: Bool
}

final class Services {
    /// Units that are known at most; files beyond are not looked at.
    static let unitLimit = 64

    private unowned let loop: AgentLoop
    private let root: String
    let logDirectory: String
    private var services: [String: Service] = [:]

    /// `root` is put before the places where units are looked for.
    init(root: String, loop: AgentLoop) {
        self.root = root == "/" ? "" : root
        self.loop = loop
        logDirectory = self.root + "/var/log/lectern"
        ReaperFiles.makeDirectories(logDirectory)
        reload()
    }

    /// Later places win over earlier ones.
    private var directories: [String] {
        ["/usr/lib/systemd/system", "/etc/systemd/system", "/run/systemd/system"].map { root + $0 }
    }

    func startEnabled() {
        for service in services.values.sorted(by: { $0.name < $1.name }) where isEnabled(service.unit) { service.ask(.start) }
    }

    /// Ends all processes; for an agent that is no PID 1, whose end does it by itself.
    func end() {
        for service in services.values { if let pid = service.machine.pid { ReaperProcesses.signal(process: pid, .kill) } }
    }

    /// Reads all unit files again.
    func reload() {
        var names: Set<String> = []
        for directory in directories {
            for name in ReaperFiles.names(in: directory) where name.hasSuffix(".service") { names.insert(name) }
        }
        for name in names.sorted().prefix(Self.unitLimit) {
            guard let unit = read(name) else { continue }
            if let service = services[name] {
                service.replace(unit)
            } else {
                services[name] = Service(unit: unit, services: self, loop: loop)
            }
        }
        for name in services.keys where !names.contains(name) && services[name]?.machine.pid == nil { services[name] = nil }
    }

    private func read(_ name: String) -> UnitFile? {
        func text(_ path: String) -> String? {
            (try? ReaperFiles.read(path, limitBytes: 64 << 10)).map { String(decoding: $0, as: UTF8.self) }
        }
        guard let path = directories.reversed().map({ "\($0)/\(name)" }).first(where: ReaperFiles.exists), let main = text(path) else {
            return nil
        }
        var unit = UnitFile(name: name)
        unit.path = path
        unit.read(main)
        var dropIns: [String: String] = [:]
        for directory in directories {
            for file in ReaperFiles.names(in: "\(directory)/\(name).d") where file.hasSuffix(".conf") {
                dropIns[file] = "\(directory)/\(name).d/\(file)"
            }
        }
        for (_, path) in dropIns.sorted(by: { $0.key < $1.key }) {
            guard let text = text(path) else { continue }
            unit.read(text)
            unit.dropIns.append(path)
        }
        if unit.description.isEmpty { unit.description = name }
        return unit
    }

    private func wantsLinks(_ unit: UnitFile) -> [String] {
        unit.wantedBy.map { "\(root)/etc/systemd/system/\($0).wants/\(unit.name)" }
    }

    func isEnabled(_ unit: UnitFile) -> Bool { wantsLinks(unit).contains { ReaperFiles.linkTarget($0) != nil } }

    func open(_ request: ServiceRequest, on connection: Connection) throws -> (any Purpose)? {
        switch request.verb {
        case .list: connection.answer(["ok": true, "units": .array(services.values.sorted { $0.name < $1.name }.map(\.status))])
        case .reload:
            reload()
            connection.answer(["ok": true])
        default:
            guard let service = services[request.unit] else { throw AgentProblem.noSuchUnit(request.unit) }
            return try open(request, service, on: connection)
        }
        connection.closeWhenSent()
        return nil
    }

    private func open(_ request: ServiceRequest, _ service: Service, on connection: Connection) throws -> (any Purpose)? {
        switch request.verb {
        case .start, .stop, .restart:
            let event: ServiceMachine.Event = request.verb == .start ? .start : request.verb == .stop ? .stop : .restart
            service.ask(event) {
                connection.answer(["ok": true, "status": service.status])
                connection.closeWhenSent()
            }
            return Ignoring()
        case .enable, .disable:
            var changed: [JSON] = []
            for link in wantsLinks(service.unit) {
                let isThere = ReaperFiles.linkTarget(link) != nil
                guard isThere == (request.verb == .disable) else { continue }
                if isThere {
                    ReaperFiles.remove(link)
                } else {
                    ReaperFiles.makeDirectories(String(link[..<(link.lastIndex(of: "/") ?? link.endIndex)]))
                    guard ReaperFiles.link(link, to: service.unit.path) else { throw AgentProblem.failed("\(link) could not be made.") }
                }
                changed.append(["link": JSON(link), "target": JSON(service.unit.path)])
            }
            connection.answer(["ok": true, "changed": .array(changed)])
        case .status: connection.answer(["ok": true, "status": service.status])
        case .cat: connection.answer(["ok": true, "files": JSON([service.unit.path] + service.unit.dropIns)])
        case .logs:
            connection.answer(["ok": true])
            service.journal.read(last: request.lines, follow: request.follow, to: connection)
            if request.follow { return Following(service.journal) }
        case .list, .reload: break
        }
        connection.closeWhenSent()
        return nil
    }
}

/// Waits for an answer that comes later.
private final class Ignoring: Purpose {
    func received(_ connection: Connection) { connection.incoming = [] }
    func drained(_ connection: Connection) {}
    func closed(_ connection: Connection) {}
}

private final class Following: Purpose {
    private let journal: Journal
    init(_ journal: Journal) { self.journal = journal }
    func received(_ connection: Connection) { connection.incoming = [] }
    func drained(_ connection: Connection) {}
    func closed(_ connection: Connection) { journal.forget(connection) }
}
