// `kubeadm`: makes and joins clusters.

enum KubeadmComponent: Component {
    static let name = "kubeadm"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("kubeadm: not part of this version of Lectern yet\n")
        return 1
    }
}
