// `kube-apiserver`: the API of a lab.

enum APIServerComponent: Component {
    static let name = "kube-apiserver"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("kube-apiserver: not part of this version of Lectern yet\n")
        return 1
    }
}
