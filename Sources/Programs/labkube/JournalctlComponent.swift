// `journalctl`: shows what services printed.

enum JournalctlComponent: Component {
    static let name = "journalctl"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("journalctl: not part of this version of Lectern yet\n")
        return 1
    }
}
