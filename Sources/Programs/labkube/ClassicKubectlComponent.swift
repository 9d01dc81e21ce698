// `kubectl-classic`: the lesson's kubectl of old.

enum ClassicKubectlComponent: Component {
    static let name = "kubectl-classic"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("kubectl-classic: not part of this version of Lectern yet\n")
        return 1
    }
}
