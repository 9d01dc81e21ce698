// `lectern-net`: the pod network of a node.

enum NetworkDaemonComponent: Component {
    static let name = "lectern-net"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("lectern-net: not part of this version of Lectern yet\n")
        return 1
    }
}
