// What the node's first process does for containers while no kubelet runs: it notes how they ended, and keeps what they
// printed.
//
// A container's process is the kubelet's child; without a kubelet it becomes ours. RUN/exits/PID then holds one line,
// `STATUS TIME`, the status as wait(2) has it. Its pipes RUN/pods/UID/NAME.N/{out,err}.fifo are open in the container and
// in the kubelet only; when both are gone the kernel forgets what is in them, so they are opened here as the kubelet ends
// (its process id is in RUN/runtime.pid) and held until another one has had time to read them.
internal import Essentials
internal import Kernel

final class Orphans {
    /// Notes that are kept; the oldest is removed when there are more.
    static let notesLimit = 1000
    /// Pipes that are held at most.
    static let pipesLimit = 512
    static let holdSeconds = 600.0

    private let directory: String
    private unowned let loop: AgentLoop
    private var noted: [Int32] = []
    private var held: [Int32] = []
    private var release: UInt64?

    init(directory: String, loop: AgentLoop) {
        self.directory = directory
        self.loop = loop
    }

    /// A process ended that nobody here started. Nodes without pods have nobody who would ask.
    func ended(_ exit: ReaperExit) {
        guard ReaperFiles.exists(directory + "/pods") else { return }
        let line = "\(exit.waitStatus) \(SystemClock().now().rfc3339Micro)\n"
        try? ReaperFiles.replace(note(exit.pid), with: Array(line.utf8), mode: 0o644, makeParents: true)
        noted.removeAll { $0 == exit.pid }
        noted.append(exit.pid)
        if noted.count > Self.notesLimit { ReaperFiles.remove(note(noted.removeFirst())) }
    }

    private func note(_ pid: Int32) -> String { "\(directory)/exits/\(pid)" }

    /// Any process ended: when it was the kubelet, the pipes of its containers are held.
    func lookFor(kubelet pid: Int32) {
        guard let bytes = try? ReaperFiles.read(directory + "/runtime.pid", limitBytes: 32),
            String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self) == String(pid)
        else { return }
        letGo()
        for pod in ReaperFiles.names(in: directory + "/pods") {
            for container in ReaperFiles.names(in: "\(directory)/pods/\(pod)") where container.contains(".") {
                for pipe in ["out.fifo", "err.fifo"] where held.count < Self.pipesLimit {
                    if let descriptor = ReaperFiles.holdFIFO("\(directory)/pods/\(pod)/\(container)/\(pipe)") { held.append(descriptor) }
                }
            }
        }
        release = loop.after(Self.holdSeconds) { [weak self] in self?.letGo() }
    }

    private func letGo() {
        for descriptor in held { PTYFiles.close(descriptor) }
        held = []
        if let release { loop.cancel(timer: release) }
        release = nil
    }
}
