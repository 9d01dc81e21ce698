// `coredns`: names of a cluster.

enum DNSComponent: Component {
    static let name = "coredns"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("coredns: not part of this version of Lectern yet\n")
        return 1
    }
}
