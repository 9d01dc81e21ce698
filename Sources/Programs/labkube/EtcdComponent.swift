// `etcd`: the store of a lab.

enum EtcdComponent: Component {
    static let name = "etcd"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("etcd: not part of this version of Lectern yet\n")
        return 1
    }
}
