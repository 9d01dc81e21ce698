// `journalctl`: shows what services printed.
internal import Kubeadm

enum JournalctlComponent: Component {
    static let name = "journalctl"

    static func run(_ flags: Flags) async -> Int32 { Journalctl(print: Output.write, complain: Flags.printError).run(flags.words) }
}
