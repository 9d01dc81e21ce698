// Runs containers with crun: from a plan to a process, and back to nothing.
//
// crun is started inside the container's own control group with its cgroup manager off, so version 1 and 2 are one code
// path; it leaves no process behind. Its stdio are pipes of ours: it gives away the ownership of whatever they are, and
// /dev/null must stay the host's. Order of `start`: disk → overlay → control group → crun; `stop` goes back by what exists.
internal import Essentials
package import Kernel

package struct ContainerRuntime: Sendable {
    private let paths: StatePaths
    private let kernel: any Kernel
    private let controlGroups: ControlGroups
    private let images: ImageStore
    private let disks: PodDisks
    private let program: String
    private let openFilesLimit: UInt64

    package init(paths: StatePaths, kernel: any Kernel, controlGroups: ControlGroups, program: String, openFilesLimit: UInt64) {
        self.paths = paths
        self.kernel = kernel
        self.controlGroups = controlGroups
        self.program = program
        self.openFilesLimit = openFilesLimit
        images = ImageStore(paths: paths, kernel: kernel)
        disks = PodDisks(paths: paths, kernel: kernel)
    }

    /// On its way into the user namespace crun forks children that it does not wait for; they end as this process' own.
    private static let programName = "crun"

    /// The first crun of the usual places.
    package static func findProgram(kernel: any Kernel) throws(ContainersProblem) -> String {
        for path in ["/usr/local/bin/crun", "/usr/bin/crun"] where kernel.exists(path) { return path }
        throw .runtimeMissing
    }

    /// Makes the pod's directory, disk and root file system. Undone by `remove`, also when it fails half-way.
    package func prepare(_ plan: ContainerPlan, group: SandboxGroup) throws(ContainersProblem) {
        let pod = paths.pod(plan.namespace, plan.pod)
        let image = try images.image(named: plan.image)
        try disks.create(pod, bytes: plan.diskBytes, owner: group.owner)
        try lifting { () throws(KernelProblem) in try writeHostFiles(plan, pod, group) }
        try disks.mountRoot(pod, image: image, userNamespace: paths.userNamespace(plan.namespace))
        try lifting { () throws(KernelProblem) in
            try kernel.makeFIFO(pod.output)
            try kernel.makeFIFO(pod.errors)
            try kernel.makeDirectory(pod.binds, mode: 0o711)
            for (index, volume) in plan.volumes.enumerated() { try makeVolume(volume, index: index, plan, pod, group) }
        }
        try controlGroups.makeContainer(plan.namespace, groupName(plan), limits: plan.limits, owner: group.owner)
    }

    /// Starts the container's process in a prepared pod whose network namespace is pinned at `net`. Returns its process id.
    package func start(_ plan: ContainerPlan, group: SandboxGroup) throws(ContainersProblem) -> Int32 {
        let pod = paths.pod(plan.namespace, plan.pod)
        let image = try images.image(named: plan.image)
        let settings = RuntimeSettings(
            root: pod.root, userNamespace: paths.userNamespace(plan.namespace), networkNamespace: pod.network, first: group.first,
            count: SandboxGroup.count, openFilesLimit: openFilesLimit,
            volumePaths: plan.volumes.enumerated().map { path(of: $1, index: $0, pod) },
            hasControlGroups: controlGroups.layout.version != .none)
        let configuration = RuntimeSpec.configuration(plan, image: image, settings)
        var failure = ""
        let process: Int32? = try lifting { () throws(KernelProblem) in
            try kernel.removeTree(pod.runtime)
            try kernel.makeDirectory(pod.runtime, mode: 0o700)
            try kernel.remove(pod.processFile)
            try kernel.write(pod.configuration, configuration.bytes, mode: 0o600, owner: nil)
            let (input, inputWriter) = try kernel.makePipe()
            inputWriter.close()
            var descriptors: [OwnedDescriptor?] = [
                input, try kernel.openFIFO(pod.output, blocking: true), try kernel.openFIFO(pod.errors, blocking: true),
            ]
            var options: [String] = []
            if plan.hasAgentSocket {
                descriptors.append(try kernel.listen(unixSocket: pod.agentSocket, backlog: 64))
                options = ["--preserve-fds", "1"]
            }
            let crun = try kernel.spawn(
                Command(
                    path: program,
                    arguments: [
                        "crun", "--root", pod.runtime, "--cgroup-manager=disabled", "--log", pod.runtimeLog, "run", "--detach", "--bundle",
                        pod.directory, "--pid-file", pod.processFile,
                    ] + options + [plan.container],
                    environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                    directory: "/", descriptors: descriptors,
                    controlGroups: controlGroups.directories(plan.namespace, groupName(plan)), startsSession: true))
            let exit = try kernel.wait(crun)
            kernel.collectOrphans(named: Self.programName)
            guard exit == .exited(0), let process = Int32(try kernel.readText(pod.processFile)) else {
                failure = "crun: \(exit): " + String(((try? kernel.readText(pod.runtimeLog)) ?? "").suffix(2000))
                return nil
            }
            return process
        }
        guard let process else { throw .runtimeFailed(failure) }
        if !plan.masksPaths { try controlGroups.makeDivisible(plan.namespace, groupName(plan), owner: group.owner) }
        return process
    }

    /// The container's first process, where it still runs.
    package func runningProcess(_ namespace: String, _ pod: String, container: String) -> Int32? {
        guard let text = try? kernel.readText(paths.pod(namespace, pod).processFile), let process = Int32(text),
            controlGroups.processes(namespace, "\(pod).\(container)").contains(process)
        else { return nil }
        return process
    }

    /// Starts a command in the container, printing to its log, and returns crun's process, which ends as the command does.
    package func execute(_ command: [String], in pod: PodPaths, namespace: String, pod name: String, container: String)
        throws(ContainersProblem) -> Int32
    {
        try lifting { () throws(KernelProblem) in
            let (input, writer) = try kernel.makePipe()
            writer.close()
            return try kernel.spawn(
                Command(
                    path: program, arguments: ["crun", "--root", pod.runtime, "--cgroup-manager=disabled", "exec", container] + command,
                    environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], directory: "/",
                    descriptors: [input, try kernel.openFIFO(pod.output, blocking: true), try kernel.openFIFO(pod.errors, blocking: true)],
                    controlGroups: controlGroups.directories(namespace, "\(name).\(container)"), startsSession: true))
        }
    }

    /// Removes a pod whose processes have been killed, whatever is there of it. `false` while something still dies.
    package func remove(_ namespace: String, _ pod: String, containers: [String]) throws(ContainersProblem) -> Bool {
        for container in containers {
            guard try controlGroups.remove(namespace, "\(pod).\(container)") else { return false }
        }
        let place = paths.pod(namespace, pod)
        collectEnded(in: place)
        try disks.unmountAll(place)
        try lifting { () throws(KernelProblem) in try kernel.removeTree(place.directory) }
        return true
    }

    /// Collects what ended here as a child of this process: a container's first process, where it was one, and crun's orphans.
    package func collectEnded(in pod: PodPaths) {
        if let text = try? kernel.readText(pod.processFile), let process = Int32(text) { _ = kernel.collect(process) }
        kernel.collectOrphans(named: Self.programName)
    }

    package func groupName(_ plan: ContainerPlan) -> String { "\(plan.pod).\(plan.container)" }

    // Written into the fresh upper layer, not mounted over it: people edit these files, and tools replace them by renaming.
    private func writeHostFiles(_ plan: ContainerPlan, _ pod: PodPaths, _ group: SandboxGroup) throws(KernelProblem) {
        let directory = pod.upper + "/etc"
        try kernel.makeDirectory(directory, mode: 0o755, owner: group.owner)
        var hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        for (address, names) in plan.hosts { hosts += "\(address)\t\(names.joined(separator: " "))\n" }
        try kernel.write(directory + "/hosts", text: hosts, owner: group.owner)
        try kernel.write(directory + "/hostname", text: plan.hostname + "\n", owner: group.owner)
        let servers = plan.nameServers.map { "nameserver \($0)\n" }.joined() + "options timeout:2 attempts:2\n"
        try kernel.write(directory + "/resolv.conf", text: servers, owner: group.owner)
    }

    private func path(of volume: VolumeMount, index: Int, _ pod: PodPaths) -> String? {
        switch volume.source {
        case .disk(let name), .files(let name, _): "\(pod.volumes)/\(name)"
        case .memory: nil
        case .host, .image: "\(pod.binds)/\(index)"
        }
    }

    private func makeVolume(_ volume: VolumeMount, index: Int, _ plan: ContainerPlan, _ pod: PodPaths, _ group: SandboxGroup)
        throws(KernelProblem)
    {
        guard let place = path(of: volume, index: index, pod) else { return }
        switch volume.source {
        case .memory: break
        case .disk: try kernel.makeDirectory(place, mode: 0o755, owner: group.owner)
        case .files(_, let contents):
            try kernel.makeDirectory(place, mode: 0o755, owner: group.owner)
            for (name, bytes) in contents.sorted(by: { $0.key < $1.key }) where !name.contains("/") && name != ".." && name != "." {
                try kernel.write("\(place)/\(name)", bytes, mode: 0o644, owner: group.owner)
            }
        case .host(let source): try bindVolume(source, at: place, plan, readOnly: volume.readOnly)
        case .image(let name):
            guard let image = try? images.image(named: name) else {
                throw KernelProblem(call: "image volume", subject: name, code: Errno.noEntry)
            }
            try bindVolume(image.root, at: place, plan, readOnly: true)
        }
    }

    private func bindVolume(_ source: String, at place: String, _ plan: ContainerPlan, readOnly: Bool) throws(KernelProblem) {
        if kernel.isDirectory(source) {
            try kernel.makeDirectory(place, mode: 0o755)
        } else {
            try kernel.write(place, [], mode: 0o644, owner: nil)
        }
        try kernel.bindMapped(source, at: place, userNamespace: paths.userNamespace(plan.namespace), readOnly: readOnly)
    }
}
