// `kubelet`: the kubelet of a node.

enum KubeletComponent: Component {
    static let name = "kubelet"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("kubelet: not part of this version of Lectern yet\n")
        return 1
    }
}
