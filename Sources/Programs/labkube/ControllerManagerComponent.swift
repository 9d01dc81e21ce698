// `kube-controller-manager`: the controllers of a lab.

enum ControllerManagerComponent: Component {
    static let name = "kube-controller-manager"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("kube-controller-manager: not part of this version of Lectern yet\n")
        return 1
    }
}
