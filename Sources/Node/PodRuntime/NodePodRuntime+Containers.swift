// Containers: from a plan to a process that runs, and its end.
internal import ClusterModel
internal import Containers
internal import Essentials
internal import Kernel
internal import Logging
package import Pods
internal import Synchronization

extension NodePodRuntime {
    private static let accountsLimitBytes = 1 << 20

    package func startContainer(_ plan: PodContainerPlan) async throws(PodRuntimeProblem) -> String {
        guard Self.isSafe(plan.name), plan.attempt >= 0, let sandbox = sandbox(plan.podUID), sandbox.isComplete else {
            throw PodRuntimeProblem(reason: "CreateContainerError", message: "sandbox of the pod not found")
        }
        guard let files = catalogue.files(plan.image) else {
            throw PodRuntimeProblem(
                reason: "CreateContainerError",
                message: "failed to create containerd container: image \"\(plan.image.reference)\": not found")
        }
        let imageUser = plan.image.configuration["User"]?.string ?? ""
        try UserChoice.checkNonRoot(
            plan.securityContext, imageUser: imageUser, pod: "\(sandbox.name)_\(sandbox.namespace)(\(sandbox.uid))", container: plan.name)
        let places = settings.pod(plan.podUID).container(plan.name, attempt: plan.attempt)
        let id = Identifier.secret()
        state.withLock { $0.starting += 1 }
        defer { state.withLock { $0.starting -= 1 } }
        let container = try await threads.run { [self] () throws(PodRuntimeProblem) -> RunningContainer in
            do throws(PodRuntimeProblem) {
                let (record, configuration) = try prepare(plan, files, sandbox, places, id: id, imageUser: imageUser)
                guard !state.withLock({ $0.leaving.contains(plan.podUID) }) else {
                    throw PodRuntimeProblem(reason: "RunContainerError", message: "the pod is being removed")
                }
                return try launch(record, configuration, plan, sandbox, places)
            } catch {
                try? discard(places, group: sandbox.group + "/" + id)
                throw error
            }
        }
        state.withLock { $0.running[plan.podUID, default: [:]][plan.name] = container }
        do throws(KernelProblem) { try begin(container, sandbox) } catch {
            try? kernel.signal(container.handle, 9)
            state.withLock { $0.running[plan.podUID]?[plan.name] = nil }
            throw PodRuntimeProblem("RunContainerError", "container", error)
        }
        return id
    }

    /// Reads and waits from now on.
    func begin(_ container: RunningContainer, _ sandbox: SandboxRecord) throws(KernelProblem) {
        try container.watch(on: readiness, kernel: kernel) { [weak self, weak container] in
            guard let self, let container else { return true }
            return noteEnd(of: container)
        }
    }

    // MARK: Preparation

    private func prepare(
        _ plan: PodContainerPlan, _ files: ImageFiles, _ sandbox: SandboxRecord, _ places: ContainerPlaces, id: String, imageUser: String
    ) throws(PodRuntimeProblem) -> (ContainerRecord, JSON) {
        let isPrivileged = plan.isPrivileged || plan.securityContext["privileged"]?.bool == true
        let what = "failed to create containerd container"
        let capabilities: UInt64
        switch Capabilities.choose(plan.securityContext, isPrivileged: isPrivileged, bounding: boundingCapabilities) {
        case .success(let bits): capabilities = bits
        case .failure(let unknown):
            throw PodRuntimeProblem(reason: "CreateContainerError", message: "\(what): unknown capability \"\(unknown.name)\"")
        }
        try telling("CreateContainerError", what) { () throws(KernelProblem) in
            try discard(places, group: nil)
            for directory in [places.directory, places.root, places.storage, places.upper, places.work] {
                try kernel.makeDirectory(directory, mode: 0o755)
            }
            try kernel.mount(
                "overlay", at: places.root, type: "overlay", options: [.noAccessTime],
                data: "lowerdir=\(files.layers.joined(separator: ":")),upperdir=\(places.upper),workdir=\(places.work),userxattr,volatile")
        }
        let accounts = UserChoice.Accounts(
            passwd: accountText("etc/passwd", places), group: accountText("etc/group", places))
        let user = try UserChoice.resolve(plan.securityContext, imageUser: imageUser, accounts: accounts)
        var resolved = ResolvedContainer(
            root: places.root, user: user, capabilities: capabilities, hostname: sandbox.hostNetwork ? nodeName : sandbox.hostname)
        join(&resolved, plan, sandbox, isPrivileged: isPrivileged)
        resolved.filter = try filter(plan.securityContext["seccompProfile"] ?? .null)
        try telling("CreateContainerError", what) { () throws(KernelProblem) in
            try addMounts(&resolved, plan, files, places, isPrivileged: isPrivileged)
            for pipe in [places.output, places.errors] + (plan.stdin ? [places.input] : []) { try kernel.makeFIFO(pipe) }
            try kernel.makeDirectory(places.runtime, mode: 0o700)
            try groups.make(sandbox.group + "/" + id, limits: GroupLimits(plan.resources), holdsGroups: false)
        }
        resolved.oomScoreAdjustment = sandbox.qosClass == "BestEffort" ? 1000 : nil
        let record = ContainerRecord(
            plan, id: id, user: user, capabilities: capabilities, hostname: resolved.hostname, startedAt: clock.now())
        let configuration = RuntimeConfiguration.make(plan, resolved)
        guard configuration["process"]?["args"]?.array?.isEmpty == false else {
            throw PodRuntimeProblem(
                reason: "RunContainerError", message: "\(what): failed to generate container spec: no command specified")
        }
        return (record, configuration)
    }

    private static let filterLimitBytes = 1 << 20

    private func filter(_ profile: JSON) throws(PodRuntimeProblem) -> JSON? {
        guard profile["type"]?.string == "Localhost" else { return nil }
        let path = "\(settings.filters)/\(profile["localhostProfile"]?.string ?? "")"
        func failed(_ why: String) -> PodRuntimeProblem {
            PodRuntimeProblem(
                reason: "CreateContainerError",
                message: "failed to create containerd container: cannot load seccomp profile \"\(path)\": \(why)")
        }
        let text: String
        do throws(KernelProblem) { text = try kernel.readText(path, limitBytes: Self.filterLimitBytes) } catch {
            throw failed("open \(path): \(Errno.text(error.code).lowercasedFirst)")
        }
        guard let json = try? JSON(parsing: text), json.object != nil else { throw failed("it is no JSON object") }
        return json
    }

    private func accountText(_ path: String, _ places: ContainerPlaces) -> String {
        let bytes = (try? kernel.read(path, inRoot: places.root, limitBytes: Self.accountsLimitBytes)) ?? []
        return String(decoding: bytes, as: UTF8.self)
    }

    private func join(_ resolved: inout ResolvedContainer, _ plan: PodContainerPlan, _ sandbox: SandboxRecord, isPrivileged: Bool) {
        let places = settings.pod(sandbox.uid)
        resolved.openFilesLimit = openFilesLimit
        resolved.hasControlGroups = groups.version != .none
        resolved.fresh = isPrivileged ? ["mount"] : ["mount", "cgroup"]
        if !sandbox.hostNetwork {
            resolved.joined["network"] = places.network
            resolved.joined["uts"] = places.hostnamePin
        }
        if !sandbox.hostIPC { resolved.joined["ipc"] = places.interprocess }
        if let target = plan.targetContainer.flatMap({ running(sandbox.uid, $0) }) {
            resolved.joined["pid"] = "/proc/\(target.process)/ns/pid"
        } else if sandbox.pauseProcess != nil {
            resolved.joined["pid"] = places.processes
        } else if !sandbox.hostPID {
            resolved.fresh.insert("pid")
        }
    }

    private func addMounts(
        _ resolved: inout ResolvedContainer, _ plan: PodContainerPlan, _ files: ImageFiles, _ places: ContainerPlaces, isPrivileged: Bool
    ) throws(KernelProblem) {
        let pod = settings.pod(plan.podUID)
        resolved.podMounts = [
            MountPlan(source: pod.sharedMemory, target: "/dev/shm"), MountPlan(source: pod.hosts, target: "/etc/hosts"),
            MountPlan(source: pod.hostname, target: "/etc/hostname"), MountPlan(source: pod.resolver, target: "/etc/resolv.conf"),
        ]
        if !plan.terminationMessagePath.isEmpty {
            try kernel.write(places.termination, [], mode: 0o666, owner: nil)
            resolved.podMounts.append(MountPlan(source: places.termination, target: plan.terminationMessagePath))
        }
        if files.hasPrograms {
            resolved.podMounts.append(MountPlan(source: settings.programs, target: "/usr/lib/lectern", readOnly: true))
        }
        if isPrivileged { resolved.devices = nodeDevices() }
        for source in Set((resolved.podMounts + plan.mounts).map(\.source)) {
            resolved.restrictions[source] = kernel.mountRestrictions(source)
        }
    }

    private static let usualDevices: Set = [
        "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "mqueue", "console", "fd", "stdin", "stdout", "stderr",
        "core",
    ]

    private func nodeDevices() -> [String] {
        ((try? kernel.list("/dev")) ?? []).filter { !Self.usualDevices.contains($0) }.map { "/dev/" + $0 }
            .filter { kernel.facts($0)?.isDevice == true }
    }

    // MARK: Start

    private func launch(
        _ record: ContainerRecord, _ configuration: JSON, _ plan: PodContainerPlan, _ sandbox: SandboxRecord, _ places: ContainerPlaces
    ) throws(PodRuntimeProblem) -> RunningContainer {
        var complaint: String?
        let group = sandbox.group + "/" + record.id
        let started: RunningContainer? = try telling("RunContainerError", "failed to create containerd task") { () throws(KernelProblem) in
            try kernel.write(places.record, record.json.bytes, mode: 0o600, owner: nil)
            try kernel.write(places.configuration, configuration.bytes, mode: 0o600, owner: nil)
            let streams = try Streams(plan, places, kernel)
            var arguments = [
                "crun", "--root", places.runtime, "--cgroup-manager=disabled", "--log", places.runtimeLog, "--log-format=json", "run",
                "--detach",
                "--bundle", places.directory, "--pid-file", places.processFile,
            ]
            arguments += streams.options + ["c"]
            let crun = try kernel.spawn(
                Command(
                    path: program, arguments: arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], directory: "/",
                    descriptors: streams.child, controlGroups: groups.directories(group), startsSession: true))
            let ended = try kernel.wait(crun)
            let process = (try? kernel.readText(places.processFile, limitBytes: 16)).flatMap { Int32($0) }
            collectHelpers(except: process)
            guard ended == .exited(0), let process else {
                complaint = Self.complaint((try? kernel.readText(places.runtimeLog)) ?? "", configuration)
                return nil
            }
            let handle = try kernel.processDescriptor(process)
            let log = try openLog(record, sandbox)
            let terminal = try streams.terminal(kernel)
            return RunningContainer(
                podUID: sandbox.uid, record: record, process: process, handle: handle, group: group, log: log,
                input: terminal == nil ? streams.input : nil, terminal: terminal,
                outputs: terminal.map { [($0, UInt8(1))] } ?? streams.outputs)
        }
        if let complaint { throw PodRuntimeProblem(reason: "RunContainerError", message: complaint) }
        guard let started else { throw PodRuntimeProblem(reason: "RunContainerError", message: "the container did not start") }
        return started
    }

    func openLog(_ record: ContainerRecord, _ sandbox: SandboxRecord) throws(KernelProblem) -> PodLog {
        let directory = settings.logDirectory(namespace: sandbox.namespace, pod: sandbox.name, uid: sandbox.uid)
        try kernel.makeDirectory(directory, mode: 0o755)
        try kernel.makeDirectory("\(directory)/\(record.name)", mode: 0o755)
        let path = "\(directory)/\(record.name)/\(record.attempt).log"
        // A container that prints nothing has an empty log, not none.
        _ = try kernel.openForAppending(path)
        try? kernel.link("\(settings.logs)/containers/\(sandbox.name)_\(sandbox.namespace)_\(record.name)-\(record.id).log", to: path)
        return PodLog(path: path, kernel: kernel, clock: clock)
    }

    /// What crun said, in the words that a runtime of containerd has for it.
    static func complaint(_ log: String, _ configuration: JSON) -> String {
        var text = ""
        for line in log.split(separator: "\n") {
            if let message = (try? JSON(parsing: String(line)))?["msg"]?.string { text = message }
        }
        let program = configuration["process"]?["args"]?[0]?.string ?? ""
        if let start = startProblem(text, program: program) { text = "unable to start container process: " + start }
        return "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
            + (text.isEmpty ? "crun ended without a word" : text) + ": unknown"
    }

    private static func startProblem(_ text: String, program: String) -> String? {
        let lower = text.lowercased()
        if lower.contains("exec format") { return ExecWords.problem(program, .format) }
        if lower.contains("not executable") || (lower.contains("exec") && lower.contains("permission denied")) {
            return ExecWords.problem(program, .denied)
        }
        let isMissing = lower.contains("executable file") || lower.contains("open executable") || lower.hasPrefix("exec ")
        return isMissing ? ExecWords.problem(program, .missing) : nil
    }
}
