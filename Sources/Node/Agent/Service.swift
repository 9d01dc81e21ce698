// One service of the node: performs what its `ServiceMachine` decides, and keeps what it prints.
internal import Essentials
internal import Kernel

final class Service: LoopSource {
    let name: String
    private unowned let loop: AgentLoop
    private unowned let services: Services
    private(set) var unit: UnitFile
    private(set) var machine = ServiceMachine()
    let journal: Journal
    private var output: (descriptor: Int32, key: UInt64)?
    private var ident = ""
    private var timer: UInt64?
    private var waiters: [() -> Void] = []
    private(set) var stateSince = SystemClock().now()

    init(unit: UnitFile, services: Services, loop: AgentLoop) {
        name = unit.name
        self.unit = unit
        self.loop = loop
        self.services = services
        journal = Journal(path: "\(services.logDirectory)/\(unit.name).log")
    }

    func replace(_ unit: UnitFile) { self.unit = unit }

    /// `settled` is called once the service has reached what was asked for, or failed to.
    func ask(_ event: ServiceMachine.Event, settled: @escaping () -> Void = {}) {
        waiters.append(settled)
        handle(event)
    }

    private func handle(_ event: ServiceMachine.Event) {
        var events = [event]
        while !events.isEmpty {
            let before = machine.state
            let actions = machine.handle(events.removeFirst(), unit: unit, now: monotonicSeconds())
            if machine.state != before { stateSince = SystemClock().now() }
            for action in actions { if let next = perform(action) { events.append(next) } }
        }
    }

    private func perform(_ action: ServiceMachine.Action) -> ServiceMachine.Event? {
        switch action {
        case .launch: return launch()
        case .terminate:
            if let pid = machine.pid { ReaperProcesses.signal(process: pid, .terminate) }
            setTimer(unit.stopSeconds, .stopOverdue)
        case .kill: if let pid = machine.pid { ReaperProcesses.signal(process: pid, .kill) }
        case .wait(let seconds): setTimer(seconds, .restartDue)
        case .cancelWait: cancelTimer()
        case .journal(let text): journal.note(text)
        case .settled:
            let told = waiters
            waiters = []
            for waiter in told { waiter() }
        }
        return nil
    }

    private func setTimer(_ seconds: Double, _ event: ServiceMachine.Event) {
        cancelTimer()
        timer = loop.after(seconds) { [weak self] in
            self?.timer = nil
            self?.handle(event)
        }
    }

    private func cancelTimer() {
        if let timer { loop.cancel(timer: timer) }
        timer = nil
    }

    private func launch() -> ServiceMachine.Event {
        cancelTimer()
        for condition in unit.conditions {
            let isNegated = condition.hasPrefix("!")
            if ReaperFiles.exists(isNegated ? String(condition.dropFirst()) : condition) == isNegated { return .conditionUnmet }
        }
        var environment = ["PATH": ShellIntegration.path, "LANG": "C.UTF-8", "HOME": "/root", "SYSTEMD_EXEC_PID": "1"]
        var variables = unit.environment
        for file in unit.environmentFiles {
            let path = file.hasPrefix("-") ? String(file.dropFirst()) : file
            if let bytes = try? ReaperFiles.read(path, limitBytes: 64 << 10) {
                variables += UnitFile.variables(String(decoding: bytes, as: UTF8.self))
            } else if !file.hasPrefix("-") {
                journal.note("\(name): Failed to load environment files: \(path)")
                return .notStarted
            }
        }
        for variable in variables {
            guard let equals = variable.firstIndex(of: "=") else { continue }
            environment[String(variable[..<equals])] = String(variable[variable.index(after: equals)...])
        }
        var command = unit.command[...]
        while let first = command.first, "-@:+!".contains(first) { command.removeFirst() }
        let arguments = UnitFile.arguments(String(command), environment: environment)
        guard let program = arguments.first else { return .notStarted }
        do {
            let null = try PTYFiles.openNull()
            defer { PTYFiles.close(null) }
            let ends = try PTYFiles.pipe()
            defer { PTYFiles.close(ends.writing) }
            closeOutput()
            let key = loop.newKey()
            let pid = try loop.start(
                ReaperCommand(arguments: arguments, environment: environment, workingDirectory: "/"),
                on: .separate(input: null, output: ends.writing, error: ends.writing)
            ) { [weak self] status in self?.ended(status) }
            ident = "\(program.split(separator: "/").last ?? "")[\(pid)]"
            output = (ends.reading, key)
            loop.watch(ends.reading, key: key, .reading, self)
            return .started(pid: pid)
        } catch {
            journal.note("\(name): Failed to start: \(error)")
            return .notStarted
        }
    }

    private func ended(_ status: Int) {
        // The last words come before the news of the end.
        for _ in 0..<64 { guard readOutput() else { break } }
        journal.end(of: ident)
        cancelTimer()
        handle(.ended(status: status))
    }

    func ready(_ interest: PTYPoller.Interest) { _ = readOutput() }

    private func readOutput() -> Bool {
        guard let output else { return false }
        switch PTYFiles.read(output.descriptor, limitBytes: 64 << 10) {
        case .nothing: return false
        case .ended:
            closeOutput()
            return false
        case .bytes(let bytes):
            journal.append(bytes, from: ident)
            return true
        }
    }

    private func closeOutput() {
        guard let output else { return }
        loop.unwatch(output.descriptor, key: output.key)
        PTYFiles.close(output.descriptor)
        self.output = nil
    }

    /// What `systemctl status` shows.
    var status: JSON {
        let (active, sub) = machine.active
        var status: JSON = [
            "unit": JSON(name), "description": JSON(unit.description), "documentation": JSON(unit.documentation),
            "load": "loaded", "path": JSON(unit.path), "dropIns": JSON(unit.dropIns),
            "enabled": JSON(services.isEnabled(unit) ? "enabled" : "disabled"), "active": JSON(active), "sub": JSON(sub),
            "since": JSON(stateSince.rfc3339), "restarts": JSON(machine.restarts), "conditions": JSON(unit.conditions),
            "conditionUnmet": JSON(machine.isConditionUnmet),
        ]
        if let status0 = machine.lastStatus { status["lastStatus"] = JSON(status0) }
        if let pid = machine.pid {
            status["pid"] = JSON(Int(pid))
            status["process"] = JSON(ReaperFiles.processName(pid))
            if let line = try? ReaperFiles.read("/proc/\(pid)/cmdline", limitBytes: 64 << 10) {
                status["command"] = JSON(String(decoding: line.dropLast().map { $0 == 0 ? 0x20 : $0 }, as: UTF8.self))
            }
        }
        return status
    }
}
