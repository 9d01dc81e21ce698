// `systemctl`: asks the agent about services.

enum SystemctlComponent: Component {
    static let name = "systemctl"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("systemctl: not part of this version of Lectern yet\n")
        return 1
    }
}
