// A container's standard streams before it starts: pipes with names that it holds open itself, or a terminal.
//
// A pipe is opened for reading and writing, so neither end ever sees the other one gone, whichever kubelet lives. A
// terminal would hang up with the kubelet that holds its other end; so that end also lies in a socket (SCM_RIGHTS) whose
// reading side is descriptor 3 of the container, where the next kubelet takes a copy (MSG_PEEK) without asking anyone.
internal import Essentials
internal import Kernel
internal import Pods

struct Streams {
    /// The container's descriptors 0, 1, 2 and, with a terminal, 3.
    var child: [OwnedDescriptor?]
    var options: [String] = []
    var input: OwnedDescriptor?
    var outputs: [(descriptor: OwnedDescriptor, channel: UInt8)] = []
    private var console: OwnedDescriptor?
    private var keeper: OwnedDescriptor?

    static let keptDescriptor: Int32 = 3

    init(_ plan: PodContainerPlan, _ places: ContainerPlaces, _ kernel: LinuxKernel) throws(KernelProblem) {
        // crun gives away the ownership of what its streams are: never the node's /dev/null.
        let (closed, writer) = try kernel.makePipe()
        writer.close()
        child = [closed, try kernel.openFIFO(places.output, blocking: true), try kernel.openFIFO(places.errors, blocking: true)]
        if plan.terminal {
            console = try kernel.listen(unixSocket: places.console, backlog: 1)
            let (own, theirs) = try kernel.makeSocketPair()
            keeper = own
            child.append(theirs)
            options = ["--console-socket", places.console, "--preserve-fds", "1"]
            return
        }
        outputs = [(try kernel.openFIFO(places.output, blocking: false), 1), (try kernel.openFIFO(places.errors, blocking: false), 2)]
        if plan.stdin {
            input = try kernel.openFIFO(places.input, blocking: false)
            // Only this side may write where the first reader's end is to be the input's end.
            child[0] =
                plan.stdinOnce ? try kernel.openForReading(places.input, blocking: true) : try kernel.openFIFO(places.input, blocking: true)
        }
    }

    /// The terminal's other end, once crun has sent it.
    func terminal(_ kernel: LinuxKernel) throws(KernelProblem) -> OwnedDescriptor? {
        guard let console, let keeper else { return nil }
        let connection = try kernel.accept(console)
        let master = try kernel.receiveDescriptor(from: connection)
        try kernel.send(descriptor: master, to: keeper)
        kernel.setNonBlocking(master)
        return master
    }

    /// The terminal's other end of a container that an earlier kubelet started; `nil` where it is lost.
    static func keptTerminal(_ handle: OwnedDescriptor, _ kernel: LinuxKernel) -> OwnedDescriptor? {
        guard let socket = try? kernel.copyDescriptor(keptDescriptor, of: handle) else { return nil }
        return try? kernel.receiveDescriptor(from: socket, keeps: true)
    }
}
