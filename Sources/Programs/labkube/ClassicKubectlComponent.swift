// `kubectl-classic`: the lesson's kubectl of old, in front of the real one.
internal import Kubeadm

enum ClassicKubectlComponent: Component {
    static let name = "kubectl-classic"

    static func run(_ flags: Flags) async -> Int32 {
        ClassicRunner(print: { _ = Output.write($0) }, complain: Flags.printError).run(flags.words)
    }
}
