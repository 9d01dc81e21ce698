// `kube-proxy`: services as packet rules.

enum ProxyComponent: Component {
    static let name = "kube-proxy"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("kube-proxy: not part of this version of Lectern yet\n")
        return 1
    }
}
