// `kubelet`: the kubelet of a node, over the runtime of the node.
internal import ClusterClient
internal import ClusterModel
internal import ClusterWire
internal import Essentials
internal import Glibc
internal import Kernel
internal import Logging
internal import NodeKubelet
internal import PodRuntime
internal import Pods

enum KubeletComponent: Component {
    static let name = "kubelet"

    static func run(_ flags: Flags) async -> Int32 {
        do {
            let settings = try settings(flags)
            let certificates = flags.value("kubeconfig").map { path in
                ClientCertificates(
                    nodeName: settings.nodeName, folder: settings.clientCertificateFolder, kubeconfig: path,
                    bootstrapKubeconfig: flags.value("bootstrap-kubeconfig"))
            }
            return await withTaskGroup(of: Int32.self) { group in
                group.addTask { await serve(settings, certificates) }
                group.addTask {
                    await EndSignals.first()
                    return 0
                }
                let status = await group.next() ?? 1
                group.cancelAll()
                // Containers go on; what must be in order is on disk at any time.
                exit(status)
            }
        } catch {
            Flags.printError("\(describe(error))\n")
            return 1
        }
    }

    private static func describe(_ error: any Error) -> String {
        (error as? any Problem).map { $0.message + ($0.cause.map { " (\($0))" } ?? "") } ?? "\(error)"
    }

    private static func serve(_ settings: KubeletSettings, _ certificates: ClientCertificates?) async -> Int32 {
        do {
            var transport: any ClusterTransport = NoCluster()
            if let certificates { transport = try HTTPSTransport(try await certificates.ensure { try HTTPSTransport($0) }) }
            let client = ClusterClient(transport: transport, user: UserInfo(name: "system:node:\(settings.nodeName)"))
            var places = PodRuntimeSettings()
            places.nodeAddresses = [settings.nodeAddress]
            places.networkConfiguration = settings.networkFolder
            let runtime = try await NodePodRuntime(places)
            let kubelet = try NodeKubelet(
                settings: settings, client: client, runtime: runtime, certificates: settings.rotatesCertificates ? certificates : nil,
                streams: PodStreamServer())
            Logger(label: name).notice(
                "Started kubelet", metadata: ["version": "\(KubeletSettings.version)", "node": "\(settings.nodeName)"])
            try await kubelet.run()
            return 0
        } catch {
            Flags.printError("\(describe(error))\n")
            return 1
        }
    }

    private static func settings(_ flags: Flags) throws -> KubeletSettings {
        var settings = KubeletSettings()
        settings.nodeName = Machine.hostName.lowercased()
        if let path = flags.value("config") { try settings.apply(file: path) }
        if let name = flags.value("hostname-override") { settings.nodeName = name.lowercased() }
        settings.nodeAddress = flags.value("node-ip") ?? LinuxKernel().mainAddress() ?? "127.0.0.1"
        if let folder = flags.value("root-dir") { settings.rootFolder = folder }
        if let folder = flags.value("pod-manifest-path") { settings.manifestFolder = folder }
        if let servers = flags.value("cluster-dns") { settings.clusterDNS = servers.split(separator: ",").map(String.init) }
        if let domain = flags.value("cluster-domain") { settings.clusterDomain = domain }
        if let file = flags.value("resolv-conf") { settings.resolverFile = file }
        if !settings.resolverFile.isEmpty, !LinuxKernel().exists(settings.resolverFile) { settings.resolverFile = "/etc/resolv.conf" }
        if let limit = flags.value("max-pods").flatMap({ Int($0) }) { settings.podLimit = limit }
        for pair in (flags.value("node-labels") ?? "").split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            settings.labels[parts[0]] = parts.count > 1 ? parts[1] : ""
        }
        settings.taints += (flags.value("register-with-taints") ?? "").split(separator: ",").map(String.init)
        if let port = flags.value("healthz-port").flatMap({ UInt16($0) }) { settings.healthPort = port == 0 ? nil : port }
        if let port = flags.value("port").flatMap({ UInt16($0) }), port > 0 { settings.port = port }
        if let address = flags.value("address") { settings.address = address }
        if let file = flags.value("client-ca-file") { settings.clientCA = file }
        if let file = flags.value("tls-cert-file") { settings.servingCertificate = file }
        if let file = flags.value("tls-private-key-file") { settings.servingKey = file }
        return settings
    }
}
