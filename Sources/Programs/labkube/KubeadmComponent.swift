// `kubeadm`: makes and joins clusters.
internal import Kernel
internal import Kubeadm

enum KubeadmComponent: Component {
    static let name = "kubeadm"

    static func run(_ flags: Flags) async -> Int32 {
        let place = KubeadmPlace(
            hostname: ReaperProcesses.hostName, address: NodeAddress.own ?? "127.0.0.1", print: { _ = Output.write($0) },
            complain: Flags.printError)
        return await Kubeadm(place: place).run(flags.words) { readLine() }
    }
}
