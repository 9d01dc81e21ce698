// What a node's kubelet is told: by its flags, and by a KubeletConfiguration file (kubelet.config.k8s.io/v1beta1).
internal import ClusterModel
package import Essentials
internal import Kernel
internal import Pods
internal import Yaml

package struct KubeletSettings: Sendable {
    package static let version = "v1.32.0"

    package var nodeName = "node"
    /// The node's address; found by itself where empty.
    package var nodeAddress = ""
    package var labels: [String: String] = [:]
    /// `key=value:Effect`
    package var taints: [String] = []
    package var manifestFolder: String?
    package var clusterDNS: [String] = []
    package var clusterDomain = ""
    package var resolverFile = "/etc/resolv.conf"
    package var podLimit = 110
    /// Secrets are kept in memory; off only where a test may not mount.
    package var mountsMemory = true
    package var rootFolder = "/var/lib/kubelet"
    package var logFolder = "/var/log/pods"
    package var networkFolder = "/etc/cni/net.d"
    package var rotatesCertificates = true
    package var registersNode = true
    package var healthAddress = "127.0.0.1"
    package var healthPort: UInt16? = 10248
    package var address = "0.0.0.0"
    package var port: UInt16? = 10250
    package var clientCA: String?
    package var servingCertificate: String?
    package var servingKey: String?
    package var allowsAnonymous = false
    package var asksAboutTokens = true
    package var leaseSeconds = 40
    package var renewSeconds = 10.0
    package var statusSeconds = 300.0
    /// Less memory than this and pods are evicted.
    package var evictionMemoryBytes: Int64 = 100 << 20
    /// A smaller part of the disk than this and pods are evicted.
    package var evictionDiskPercent = 10.0
    package var reservedCPU: String?
    package var reservedMemory: String?
    package var clientCertificateFolder: String { rootFolder + "/pki" }
    /// What stands in `nodeInfo.containerRuntimeVersion`, and before `://` in the ids of containers.
    package var runtimeName = "lectern"
    package var runtimeVersion = "1.0.0"
    /// The KubeletConfiguration as it was read, for `/configz`.
    package var configuration: JSON = .emptyObject

    package init() {}

    /// Takes what a KubeletConfiguration says; what it does not know it leaves alone.
    package mutating func apply(_ configuration: JSON) {
        self.configuration = configuration
        func text(_ key: String) -> String? { configuration[key]?.string.flatMap { $0.isEmpty ? nil : $0 } }
        if let folder = text("staticPodPath") { manifestFolder = folder }
        if let servers = configuration["clusterDNS"]?.array { clusterDNS = servers.compactMap(\.string) }
        if let domain = text("clusterDomain") { clusterDomain = domain.hasSuffix(".") ? String(domain.dropLast()) : domain }
        if let file = text("resolvConf") { resolverFile = file }
        if let limit = configuration["maxPods"]?.int, limit > 0 { podLimit = limit }
        if let rotates = configuration["rotateCertificates"]?.bool { rotatesCertificates = rotates }
        if let registers = configuration["registerNode"]?.bool { registersNode = registers }
        if let address = text("healthzBindAddress") { healthAddress = address }
        if let port = configuration["healthzPort"]?.int { healthPort = port == 0 ? nil : UInt16(exactly: port) }
        if let address = text("address") { self.address = address }
        if let port = configuration["port"]?.int, port > 0 { self.port = UInt16(exactly: port) }
        if let file = configuration["authentication"]?["x509"]?["clientCAFile"]?.string, !file.isEmpty { clientCA = file }
        if let allows = configuration["authentication"]?["anonymous"]?["enabled"]?.bool { allowsAnonymous = allows }
        if let asks = configuration["authentication"]?["webhook"]?["enabled"]?.bool { asksAboutTokens = asks }
        if let file = text("tlsCertFile") { servingCertificate = file }
        if let file = text("tlsPrivateKeyFile") { servingKey = file }
        if let seconds = configuration["nodeLeaseDurationSeconds"]?.int, seconds > 0 {
            leaseSeconds = seconds
            renewSeconds = Double(seconds) / 4
        }
        if let amount = PodResources.quantity(configuration["evictionHard"]?["memory.available"]) { evictionMemoryBytes = amount.value }
        if let share = configuration["evictionHard"]?["nodefs.available"]?.string, share.hasSuffix("%"),
            let percent = Double(share.dropLast())
        {
            evictionDiskPercent = percent
        }
        for side in ["systemReserved", "kubeReserved"] {
            reservedCPU = configuration[side]?["cpu"]?.string ?? reservedCPU
            reservedMemory = configuration[side]?["memory"]?.string ?? reservedMemory
        }
        for taint in configuration["registerWithTaints"]?.array ?? [] {
            taints.append("\(taint["key"]?.string ?? "")=\(taint["value"]?.string ?? ""):\(taint["effect"]?.string ?? "NoSchedule")")
        }
    }

    /// Reads the file that `--config` names.
    package mutating func apply(file: String) throws {
        let text = try LinuxKernel().read(file, limitBytes: 1 << 20)
        let document = try YAML.document(text)
        guard document["kind"]?.string == "KubeletConfiguration" else {
            throw KubeletProblem.badConfiguration(file: file, "no kind \"KubeletConfiguration\" is registered for it")
        }
        apply(document)
    }

    var resolver: ResolverSettings {
        ResolverSettings(
            clusterServers: clusterDNS, clusterDomain: clusterDomain,
            nodeText: resolverFile.isEmpty ? "" : (try? LinuxKernel().readText(resolverFile)) ?? "")
    }
}

package enum KubeletProblem: Problem, Equatable {
    case badConfiguration(file: String, String)
    case noKubeconfig(String)
    case noCertificate(String)

    package var reason: String {
        switch self {
        case .badConfiguration: "BadConfiguration"
        case .noKubeconfig: "NoKubeconfig"
        case .noCertificate: "NoCertificate"
        }
    }
    package var message: String {
        switch self {
        case .badConfiguration(let file, let why):
            "failed to load kubelet config file, path: \(file), error: \(why)"
        case .noKubeconfig(let file): "failed to run Kubelet: unable to load bootstrap kubeconfig: stat \(file): no such file or directory"
        case .noCertificate(let why): "failed to run Kubelet: cannot create certificate signing request: \(why)"
        }
    }
}
