// Pods as surroundings: namespaces, network, files; and the way down of all that a pod has.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Logging
package import Pods
internal import Synchronization

extension NodePodRuntime {
    private static let sharedMemoryBytes = 64 << 20

    package func startSandbox(_ plan: SandboxPlan) async throws(PodRuntimeProblem) -> [String] {
        let what = "failed to start sandbox"
        guard Self.isSafe(plan.uid), Self.isSafe(plan.namespace), Self.isSafe(plan.name) else {
            throw PodRuntimeProblem(reason: "FailedCreatePodSandBox", message: "invalid name of a pod")
        }
        if sandbox(plan.uid) != nil { try await removeSandbox(uid: plan.uid, namespace: plan.namespace, name: plan.name) }
        var record = SandboxRecord(
            plan, id: Identifier.secret(), group: groups.podGroup(plan.uid, qosClass: plan.qosClass), createdAt: clock.now())
        state.withLock { $0.sandboxes[plan.uid] = record }
        do throws(PodRuntimeProblem) {
            let draft = record
            record.pauseProcess = try await threads.run { [self] () throws(PodRuntimeProblem) in
                try telling("FailedCreatePodSandBox", what) { () throws(KernelProblem) in try makeSurroundings(plan, draft) }
            }
            record.addresses = plan.hostNetwork ? settings.nodeAddresses : try await attach(plan, record)
            record.isComplete = true
            let complete = record
            try await threads.run { [self] () throws(PodRuntimeProblem) in
                try telling("FailedCreatePodSandBox", what) { () throws(KernelProblem) in
                    let places = settings.pod(plan.uid)
                    try kernel.write(places.hosts, text: hosts(plan, complete.addresses))
                    try kernel.write(places.record, complete.json.bytes, mode: 0o600, owner: nil)
                }
            }
            state.withLock { $0.sandboxes[plan.uid] = complete }
            return record.addresses
        } catch {
            try? await removeSandbox(uid: plan.uid, namespace: plan.namespace, name: plan.name)
            throw error
        }
    }

    // Everything but the network. Answers with the process that holds the shared process ids, where they are shared.
    private func makeSurroundings(_ plan: SandboxPlan, _ record: SandboxRecord) throws(KernelProblem) -> Int32? {
        let places = settings.pod(plan.uid)
        try kernel.makeDirectory(places.directory, mode: 0o711)
        try kernel.write(places.record, record.json.bytes, mode: 0o600, owner: nil)
        try kernel.makeDirectory(places.namespaces, mode: 0o700)
        try kernel.makeDirectory(places.storage, mode: 0o711)
        try kernel.write(places.storedRecord, record.json.bytes, mode: 0o600, owner: nil)
        try groups.make(record.group, limits: GroupLimits(plan.resources), holdsGroups: true)
        try kernel.makeDirectory(places.sharedMemory, mode: 0o1777)
        if plan.hostIPC {
            try kernel.bind("/dev/shm", at: places.sharedMemory)
        } else {
            try kernel.mount(
                "shm", at: places.sharedMemory, type: "tmpfs", options: [.noSetuid, .noDevices, .noExecution],
                data: "mode=1777,size=\(Self.sharedMemoryBytes)")
        }
        var sysctls: [(name: String, value: String, isOptional: Bool)] = []
        if !plan.hostNetwork {
            sysctls = [
                ("net.ipv4.ip_unprivileged_port_start", "0", true), ("net.ipv4.ping_group_range", "0 65535", true),
            ]
        }
        sysctls += plan.sysctls.sorted { $0.key < $1.key }.map { ($0.key, $0.value, false) }
        try kernel.makeNamespaces(
            PodNamespaces(
                network: plan.hostNetwork ? nil : places.network, interprocess: plan.hostIPC ? nil : places.interprocess,
                hostname: plan.hostNetwork ? nil : places.hostnamePin),
            hostName: plan.hostname, sysctls: sysctls)
        let hostname = plan.hostNetwork ? nodeName : plan.hostname
        try kernel.write(places.hostname, text: hostname + "\n")
        try kernel.write(places.resolver, text: plan.resolver)
        return plan.sharesProcesses && !plan.hostPID ? try startPause(places, record) : nil
    }

    var nodeName: String { ((try? kernel.readText("/proc/sys/kernel/hostname", limitBytes: 256)) ?? "").filter { $0 != "\n" } }

    // Shared process ids end with the first process, so one that does nothing is the first.
    private func startPause(_ places: SandboxPlaces, _ record: SandboxRecord) throws(KernelProblem) -> Int32 {
        let (input, writer) = try kernel.makePipe()
        let (reader, output) = try kernel.makePipe()
        writer.close()
        reader.close()
        let group = record.group + "/pause"
        try groups.make(group, limits: GroupLimits(.emptyObject), holdsGroups: false)
        // Lists of processes show it by the name that everybody knows.
        let program = settings.run + "/pause"
        try kernel.link(program, to: kernel.exists("/usr/bin/sleep") ? "/usr/bin/sleep" : "/bin/sleep")
        var command = Command(
            path: program, arguments: ["/pause", "infinity"], directory: "/", descriptors: [input, output, output],
            controlGroups: groups.directories(group), startsSession: true)
        command.startsProcessNamespace = true
        let process = try kernel.spawn(command)
        do throws(KernelProblem) {
            try kernel.write(places.processes, [], mode: 0o600, owner: nil)
            try kernel.bind("/proc/\(process)/ns/pid", at: places.processes)
        } catch {
            try? kernel.kill(process, andWaitSeconds: 5)
            throw error
        }
        return process
    }

    /// A pod's /etc/hosts, as upstream's kubelet writes it.
    private func hosts(_ plan: SandboxPlan, _ addresses: [String]) -> String {
        var text: String
        if plan.hostNetwork {
            text = "# Kubernetes-managed hosts file (host network).\n" + ((try? kernel.readText("/etc/hosts")) ?? "")
        } else {
            text = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
            text += "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
            for address in addresses { text += "\(address)\t\(plan.hostname)\n" }
        }
        if !plan.hostsLines.isEmpty { text += "\n# Entries added by HostAliases.\n" + plan.hostsLines.map { $0 + "\n" }.joined() }
        return text
    }

    // MARK: Network

    private func attach(_ plan: SandboxPlan, _ record: SandboxRecord) async throws(PodRuntimeProblem) -> [String] {
        func failed(_ message: String) -> PodRuntimeProblem {
            PodRuntimeProblem(
                reason: "FailedCreatePodSandBox",
                message: "rpc error: code = Unknown desc = failed to setup network for sandbox \"\(record.id)\": \(message)")
        }
        guard let configuration = NetworkConfiguration.load(settings.networkConfiguration, kernel: kernel) else {
            throw PodRuntimeProblem(reason: "NetworkNotReady", message: "network is not ready: " + NetworkAttachment.notReady)
        }
        var attachment = NetworkAttachment(
            configuration: configuration, sandbox: record.id, namespacePath: settings.pod(plan.uid).network, namespace: plan.namespace,
            pod: plan.name, uid: plan.uid)
        attachment.annotations = plan.annotations
        attachment.hostPorts = plan.hostPorts.map {
            ["hostPort": JSON($0.host), "containerPort": JSON($0.container), "protocol": .string($0.proto.lowercased())]
        }
        // Noted before it is made: a half-made attachment is taken back by the same chain.
        save(attachment, plan.uid)
        do throws(NetworkProblem) { try await attachment.add(programs: settings.networkPrograms, executor(plan.uid)) } catch {
            throw failed(error.message)
        }
        save(attachment, plan.uid)
        guard !attachment.addresses.isEmpty else { throw failed("the network plugins gave it no address") }
        return attachment.addresses
    }

    private func save(_ attachment: NetworkAttachment, _ uid: String) {
        let json: JSON = [
            "configuration": attachment.configuration.json, "result": attachment.result ?? .null, "hostPorts": .array(attachment.hostPorts),
            "annotations": JSON(attachment.annotations),
        ]
        try? kernel.write(settings.pod(uid).attachment, json.bytes, mode: 0o600, owner: nil)
    }

    func detach(_ record: SandboxRecord) async {
        let places = settings.pod(record.uid)
        guard let text = try? kernel.readText(places.attachment), let json = try? JSON(parsing: text),
            let configuration = json["configuration"].flatMap({ NetworkConfiguration(json: $0) })
        else { return }
        var attachment = NetworkAttachment(
            configuration: configuration, sandbox: record.id, namespacePath: kernel.exists(places.network) ? places.network : "",
            namespace: record.namespace, pod: record.name, uid: record.uid)
        try? kernel.makeDirectory(places.directory, mode: 0o711)
        attachment.hostPorts = json["hostPorts"]?.array ?? []
        attachment.annotations = json["annotations"]?.strings ?? [:]
        attachment.result = json["result"].flatMap { $0.isNull ? nil : $0 }
        for problem in await attachment.delete(programs: settings.networkPrograms, executor(record.uid)) {
            logger.warning(
                "A network plugin could not take a pod out of the network.",
                metadata: ["pod": "\(record.namespace)/\(record.name)", "cause": "\(problem.message)"])
        }
        try? kernel.remove(places.attachment)
    }

    private static let pluginOutputLimitBytes = 1 << 20

    private func executor(_ uid: String) -> NetworkAttachment.Executor {
        let places = settings.pod(uid)
        let programs = settings.networkPrograms
        return { [self] call throws(NetworkProblem) in
            let type = call.type
            guard !type.contains("/"), let program = programs.map({ "\($0)/\(type)" }).first(where: { kernel.exists($0) }) else {
                throw NetworkProblem(message: "failed to find plugin \"\(type)\" in path [\(programs.joined(separator: " "))]")
            }
            let stem = "\(places.directory)/cni-\(Identifier.short())"
            let files = [stem + ".in", stem + ".out", stem + ".err"]
            defer { for file in files { try? kernel.remove(file) } }
            do throws(KernelProblem) {
                try kernel.write(files[0], call.input.bytes, mode: 0o600, owner: nil)
                let descriptors = [
                    try kernel.openForReading(files[0]), try kernel.openForWriting(files[1]), try kernel.openForWriting(files[2]),
                ]
                let exit = try await run(
                    Command(
                        path: program, arguments: [program], environment: call.environment, directory: "/", descriptors: descriptors,
                        startsSession: true))
                return PluginOutcome(
                    isSuccess: exit == .exited(0), output: try kernel.read(files[1], limitBytes: Self.pluginOutputLimitBytes),
                    errors: try kernel.read(files[2], limitBytes: Self.pluginOutputLimitBytes))
            } catch {
                throw NetworkProblem(message: "plugin type=\"\(type)\" failed: \(Errno.text(error.code).lowercasedFirst)")
            }
        }
    }
}
