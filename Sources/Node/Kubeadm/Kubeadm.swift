// Makes and joins clusters the way upstream's kubeadm does: the same files, objects and words.
//
// A command is read (`KubeadmArguments`, `ClusterSettings`), then done in phases by `Kubeadm`, which may touch the files of
// its node below `root`, the node's services through `ServiceControl`, and the API through `ClusterClient`. What is written
// (certificates, manifests, objects) is decided by functions without effects: `PKI`, `Manifests`, `ClusterObjects`, `Addons`.
// Callers: the component `kubeadm` of `labkube`.
package import Essentials
package import Kernel
internal import Crypto
internal import Yaml

package enum KubeadmDefaults {
    package static let version = "v1.32.0"
    package static let repository = "registry.k8s.io"
    package static let kubernetes = "/etc/kubernetes"
    package static let pki = "/etc/kubernetes/pki"
    package static let manifests = "/etc/kubernetes/manifests"
    package static let kubelet = "/var/lib/kubelet"
    package static let etcd = "/var/lib/etcd"
    package static let bindPort = 6443
    package static let serviceSubnet = "10.96.0.0/12"
    package static let domain = "cluster.local"
    package static let etcdTag = "3.5.16-0"
    package static let pauseTag = "3.10"
    package static let corednsTag = "v1.11.3"
    /// What kubeadm does differently on a lab's node.
    package static let labFile = "/etc/lectern/kubeadm.yaml"
    package static let tokenSeconds = 24 * 3600
    package static let certificateKeySeconds = 2 * 3600
    /// The longest wait for the kubelet and the API server.
    package static let waitSeconds = 240.0
    package static let taintKey = "node-role.kubernetes.io/control-plane"
}

/// What ends a command, as upstream prints it after `error: `.
package struct KubeadmProblem: Problem, Equatable {
    package var reason: String
    package var message: String
    /// The exit status.
    package var status: Int32
    package init(_ message: String, reason: String = "KubeadmFailed", status: Int32 = 1) {
        self.reason = reason
        self.message = message
        self.status = status
    }
}

/// Where a command does its work, so that tests can give it another place.
package struct KubeadmPlace: Sendable {
    /// Put before every path.
    package var root: String
    package var hostname: String
    /// The node's own address, where nothing else says one.
    package var address: String
    package var control: ServiceControl
    package var kernel: any Kernel
    package var clock: any WallClock
    package var print: @Sendable (String) -> Void
    package var complain: @Sendable (String) -> Void

    package init(
        root: String = "", hostname: String, address: String, control: ServiceControl = ServiceControl(),
        kernel: any Kernel = LinuxKernel(), clock: any WallClock = SystemClock(), print: @escaping @Sendable (String) -> Void,
        complain: @escaping @Sendable (String) -> Void
    ) {
        self.root = root
        self.hostname = hostname
        self.address = address
        self.control = control
        self.kernel = kernel
        self.clock = clock
        self.print = print
        self.complain = complain
    }
}

extension KubeadmPlace {
    func exists(_ path: String) -> Bool { kernel.exists(root + path) }
    func text(_ path: String) -> String? { try? kernel.readText(root + path) }
    func list(_ path: String) -> [String] { ((try? kernel.list(root + path)) ?? []).sorted() }

    func write(_ path: String, _ text: String, mode: UInt32 = 0o600) throws(KubeadmProblem) {
        do throws(KernelProblem) {
            let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
            try kernel.makeDirectories(root + folder)
            // A reader of the directory (the kubelet, of manifests) sees the file whole or not at all.
            let draft = "\(root)\(folder)/.\(path.split(separator: "/").last ?? "").new"
            try kernel.remove(draft)
            try kernel.write(draft, text: text, mode: mode)
            try kernel.rename(draft, to: root + path)
        } catch { throw KubeadmProblem("unable to write \(path): \(error.cause ?? error.message)") }
    }

    func remove(_ path: String) { try? kernel.remove(root + path) }
    func removeTree(_ path: String) { try? kernel.removeTree(root + path) }

    /// Removes what is in a directory, and leaves the directory.
    func empty(_ path: String) { for name in list(path) { removeTree("\(path)/\(name)") } }

    func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(KubeadmProblem) {
        do throws(KernelProblem) {
            try kernel.makeDirectories(root + path)
            if mode != 0o755 { try kernel.makeDirectory(root + path, mode: mode) }
        } catch { throw KubeadmProblem("unable to create directory \(path): \(error.cause ?? error.message)") }
    }
}

extension KubeadmProblem {
    static func crypto(_ problem: CryptoProblem, _ what: String) -> KubeadmProblem {
        KubeadmProblem("\(what): \(problem.cause ?? problem.message)", reason: problem.reason)
    }
}

/// Turns what OpenSSL refuses into this room's words.
func lifting<Result>(_ what: String, _ body: () throws(CryptoProblem) -> Result) throws(KubeadmProblem) -> Result {
    do throws(CryptoProblem) { return try body() } catch { throw .crypto(error, what) }
}

/// What a lab's nodes do differently from upstream (docs/kubernetes.md).
package struct LabDefaults: Sendable, Equatable {
    /// The first node takes pods, too.
    package var isSchedulable = false
    /// Root has a working kubeconfig on every node, also on joined ones.
    package var givesRootAccess = false

    package init(isSchedulable: Bool = false, givesRootAccess: Bool = false) {
        self.isSchedulable = isSchedulable
        self.givesRootAccess = givesRootAccess
    }

    package init(yaml: String?) {
        guard let yaml, let document = try? YAML.document(Array(yaml.utf8)) else { return }
        isSchedulable = document["schedulableControlPlane"]?.bool ?? false
        givesRootAccess = document["rootKubeconfig"]?.bool ?? false
    }
}
