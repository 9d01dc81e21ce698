// `lectern-cni`: the CNI plugin.

enum CNIComponent: Component {
    static let name = "lectern-cni"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("lectern-cni: not part of this version of Lectern yet\n")
        return 1
    }
}
