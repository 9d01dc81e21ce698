// Into running containers: commands, their terminals, their ports.
internal import ClusterModel
package import Essentials
internal import Kernel
package import Pods

extension NodePodRuntime {
    package func exec(podUID: String, container: String, command: [String], terminal: Bool, stdin: Bool) async throws(PodRuntimeProblem)
        -> any ContainerStreams
    {
        guard let running = running(podUID, container), running.exit.now == nil else {
            throw PodRuntimeProblem(reason: "NotFound", message: "container not found (\"\(container)\")")
        }
        guard let program = command.first, !program.isEmpty else {
            throw PodRuntimeProblem(reason: "BadRequest", message: "you must specify at least one command for the container")
        }
        let streams = try await threads.run { [self] () throws(PodRuntimeProblem) -> ExecStreams in
            do throws(KernelProblem) { return try start(command, in: running, terminal: terminal, stdin: stdin) } catch {
                let id = String(Identifier.secret())
                throw PodRuntimeProblem(
                    reason: error.call == "exec" || error.call == "chdir" ? "ExecFailed" : "RuntimeFailed",
                    message: ExecWords.exec(error, program: program, id: id), cause: error.cause)
            }
        }
        do throws(KernelProblem) { try streams.begin() } catch {
            await streams.close()
            throw PodRuntimeProblem("RuntimeFailed", "exec", error)
        }
        return streams
    }

    private func start(_ command: [String], in running: RunningContainer, terminal: Bool, stdin: Bool) throws(KernelProblem) -> ExecStreams
    {
        let record = running.record
        var environment = record.environment
        if terminal, !environment.contains(where: { $0.hasPrefix("TERM=") }) { environment.append("TERM=xterm") }
        if !environment.contains(where: { $0.hasPrefix("HOME=") }) { environment.append("HOME=" + home(of: running)) }
        var child: [OwnedDescriptor]
        var input: OwnedDescriptor?
        var master: OwnedDescriptor?
        var outputs: [(descriptor: OwnedDescriptor, channel: UInt8)] = []
        if terminal {
            let pair = try kernel.openTerminal(inRootOf: running.process, owner: record.user.user)
            child = [pair.slave, pair.slave, pair.slave]
            master = pair.master
            input = stdin ? try kernel.duplicate(pair.master) : nil
            outputs = [(pair.master, 1)]
        } else {
            let (inputReader, inputWriter) = try kernel.makePipe()
            let (outputReader, outputWriter) = try kernel.makePipe()
            let (errorReader, errorWriter) = try kernel.makePipe()
            for own in [inputWriter, outputReader, errorReader] { kernel.setNonBlocking(own) }
            child = [inputReader, outputWriter, errorWriter]
            if stdin { input = inputWriter } else { inputWriter.close() }
            outputs = [(outputReader, 1), (errorReader, 2)]
        }
        let process = try kernel.start(
            InsideCommand(
                process: running.handle, paths: Self.places(of: command[0], environment), arguments: command, environment: environment,
                directory: record.workingDirectory, descriptors: child, isTerminal: terminal,
                controlGroups: running.group.map { groups.directories($0) } ?? [],
                user: FileOwner(user: record.user.user, group: record.user.group), groups: record.user.groups,
                capabilities: record.capabilities, gainsNoPrivileges: record.gainsNoPrivileges))
        return ExecStreams(
            process: process, handle: try kernel.processDescriptor(process), input: input, terminal: master, outputs: outputs,
            readiness: readiness, kernel: kernel)
    }

    /// Where a shell would look for the program.
    static func places(of program: String, _ environment: [String]) -> [String] {
        if program.contains("/") { return [program] }
        let path = environment.last { $0.hasPrefix("PATH=") } ?? RuntimeConfiguration.path
        return path.dropFirst(5).split(separator: ":").map { "\($0)/\(program)" }
    }

    private static let accountsLimitBytes = 1 << 20

    private func home(of running: RunningContainer) -> String {
        let bytes = (try? kernel.read("etc/passwd", inRoot: "/proc/\(running.process)/root", limitBytes: Self.accountsLimitBytes)) ?? []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 5, UInt32(fields[2]) == running.record.user.user { return String(fields[5]) }
        }
        return "/"
    }

    package func attach(podUID: String, container: String, stdin: Bool) async throws(PodRuntimeProblem) -> any ContainerStreams {
        guard let running = running(podUID, container), running.exit.now == nil else {
            throw PodRuntimeProblem(reason: "NotFound", message: "container not found (\"\(container)\")")
        }
        if running.record.terminal, running.terminal == nil {
            throw PodRuntimeProblem(
                reason: "RuntimeFailed", message: "the terminal of container \"\(container)\" was lost when the kubelet was restarted")
        }
        return AttachStreams(running, stdin: stdin, readiness: readiness, kernel: kernel)
    }

    private static let connectSeconds = 10

    package func openPort(podUID: String, port: UInt16) async throws(PodRuntimeProblem) -> OwnedDescriptor {
        guard let sandbox = sandbox(podUID), sandbox.isComplete else {
            throw PodRuntimeProblem(reason: "NotFound", message: "sandbox of the pod not found")
        }
        let path = sandbox.hostNetwork ? "/proc/thread-self/ns/net" : settings.pod(podUID).network
        func failed(_ why: String) -> PodRuntimeProblem {
            PodRuntimeProblem(
                reason: "PortForwardFailed",
                message: "failed to execute portforward in network namespace \"\(path)\": failed to connect to localhost:\(port) inside "
                    + "namespace \"\(sandbox.id)\", IPv4: dial tcp4 127.0.0.1:\(port): \(why)")
        }
        let socket: OwnedDescriptor
        do throws(KernelProblem) {
            socket = try await threads.run { [kernel] () throws(KernelProblem) in
                try kernel.connect(inNetworkNamespace: path, address: "127.0.0.1", port: port)
            }
        } catch { throw failed("connect: \(Errno.text(error.code).lowercasedFirst)") }
        guard await readiness.wait(for: socket, writable: true), kernel.isConnected(socket) else {
            throw failed("connect: connection refused")
        }
        return socket
    }
}
