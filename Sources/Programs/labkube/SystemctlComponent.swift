// `systemctl`: asks the agent about services.
internal import Glibc
internal import Kubeadm

enum SystemctlComponent: Component {
    static let name = "systemctl"

    static func run(_ flags: Flags) async -> Int32 {
        Systemctl(isTerminal: isatty(1) == 1, print: { _ = Output.write($0) }, complain: Flags.printError).run(flags.words)
    }
}
