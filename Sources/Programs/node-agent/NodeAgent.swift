// PID 1 of a node: flags and wiring.
internal import Agent
internal import Glibc
internal import Kernel

@main struct NodeAgent {
    private static let usage = """
        usage: node-agent (--listen-fd NUMBER | --listen-unix PATH) [--not-init] [--run-directory PATH] [--system-root PATH] [--cluster-view PROGRAM]

          --listen-fd NUMBER     an inherited listening unix socket (default 3)
          --listen-unix PATH     make the socket instead
          --not-init             do not expect to be PID 1 (for tests)
          --run-directory PATH   where the shell's start-up file goes (default /run/lectern)
          --system-root PATH     where units of services are looked for (default: / for PID 1, else nowhere)
          --cluster-view PROGRAM what tells of the node's cluster (default: labkube cluster-view)

        """

    static func main() {
        var options = AgentOptions(listener: .descriptor(3))
        var arguments = CommandLine.arguments.dropFirst()
        while let flag = arguments.popFirst() {
            switch flag {
            case "--listen-fd":
                guard let number = arguments.popFirst().flatMap(Int32.init), number > 2 else { fail(usage) }
                options.listener = .descriptor(number)
            case "--listen-unix":
                guard let path = arguments.popFirst() else { fail(usage) }
                options.listener = .path(path)
            case "--not-init": options.isInit = false
            case "--run-directory":
                guard let path = arguments.popFirst(), path.hasPrefix("/") else { fail(usage) }
                options.runDirectory = path
            case "--cluster-view":
                guard let program = arguments.popFirst() else { fail(usage) }
                options.clusterView = [program]
            case "--system-root":
                guard let path = arguments.popFirst(), path.hasPrefix("/") else { fail(usage) }
                options.systemRoot = path
            default: fail(usage)
            }
        }
        if options.isInit, options.systemRoot == nil { options.systemRoot = "/" }
        do {
            try AgentLoop(options: options).run()
        } catch {
            fail("node-agent: \(error)\n")
        }
    }

    private static func fail(_ message: String) -> Never {
        _ = PTYFiles.write(2, Array(message.utf8))
        exit(2)
    }
}
