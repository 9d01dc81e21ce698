// What kubeadm writes on a node and into a cluster, in a folder of the test's own.
import ClusterWire
import Crypto
import Essentials
import Kernel
import Kubeadm
import Synchronization
import Testing
import Yaml

/// A node that is a temporary folder.
private final class Folder: Sendable {
    let root = "/tmp/lectern-kubeadm-" + Identifier.short(length: 10)
    let output = Mutex("")
    let errors = Mutex("")

    init() throws { try LinuxKernel().makeDirectories(root) }
    deinit { try? LinuxKernel().removeTree(root) }

    func run(_ words: String, answer: String? = nil) async -> Int32 {
        let place = KubeadmPlace(
            root: root, hostname: "node1", address: "172.30.0.11", control: ServiceControl(path: root + "/none.sock"),
            print: { text in self.output.withLock { $0 += text } }, complain: { text in self.errors.withLock { $0 += text } })
        return await Kubeadm(place: place).run(words.split(separator: " ").map(String.init)) { answer }
    }

    func text(_ path: String) throws -> String { try LinuxKernel().readText(root + path) }
    func exists(_ path: String) -> Bool { LinuxKernel().exists(root + path) }
    var said: String { output.withLock { $0 } }
    var complained: String { errors.withLock { $0 } }
}

@Suite struct WrittenFilesTests {
    @Test func certificatesHaveUpstreamsNamesAndVouchForEachOther() async throws {
        let folder = try Folder()
        #expect(await folder.run("init phase certs all") == 0)
        let authority = try Certificate(pem: folder.text("/etc/kubernetes/pki/ca.crt"))
        let server = try Certificate(pem: folder.text("/etc/kubernetes/pki/apiserver.crt"))
        #expect(server.isValid(under: authority) && server.commonName == "kube-apiserver")
        #expect(
            Set(server.alternativeNames) == [
                "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "node1", "10.96.0.1",
                "172.30.0.11",
            ])
        let member = try Certificate(pem: folder.text("/etc/kubernetes/pki/etcd/server.crt"))
        #expect(
            try member.isValid(under: Certificate(pem: folder.text("/etc/kubernetes/pki/etcd/ca.crt"))) && !member.isValid(under: authority)
        )
        #expect(try folder.text("/etc/kubernetes/pki/sa.pub").hasPrefix("-----BEGIN PUBLIC KEY-----"))
        #expect(folder.said.contains("[certs] Generating \"apiserver-kubelet-client\" certificate and key\n"))
        #expect(
            folder.said.contains(
                "[certs] apiserver serving cert is signed for DNS names [kubernetes kubernetes.default kubernetes.default.svc "
                    + "kubernetes.default.svc.cluster.local node1] and IPs [10.96.0.1 172.30.0.11]\n"))
        // A second run keeps what is there.
        #expect(await folder.run("init phase certs all") == 0)
        #expect(
            try folder.text("/etc/kubernetes/pki/ca.crt") == authority.pem
                && folder.said.contains("Using existing ca certificate authority"))
    }

    @Test func kubeconfigsSayWhoTheirUsersAre() async throws {
        let folder = try Folder()
        _ = await folder.run("init phase certs all")
        #expect(await folder.run("init phase kubeconfig all") == 0)
        let configuration = try ClusterConfiguration(kubeconfig: folder.root + "/etc/kubernetes/admin.conf")
        guard case .text(let pem)? = configuration.certificate else { throw KubeadmProblem("no certificate") }
        let certificate = try Certificate(pem: pem)
        #expect(certificate.commonName == "kubernetes-admin" && certificate.organizations == ["kubeadm:cluster-admins"])
        #expect(configuration.server == "https://172.30.0.11:6443")
        for name in ["super-admin", "kubelet", "controller-manager", "scheduler"] { #expect(folder.exists("/etc/kubernetes/\(name).conf")) }
    }

    @Test func renewedCertificatesKeepTheirNames() async throws {
        let folder = try Folder()
        _ = await folder.run("init phase certs all --apiserver-cert-extra-sans api.lab")
        let before = try Certificate(pem: folder.text("/etc/kubernetes/pki/apiserver.crt"))
        #expect(await folder.run("certs renew apiserver") == 0)
        let after = try Certificate(pem: folder.text("/etc/kubernetes/pki/apiserver.crt"))
        #expect(after.pem != before.pem && after.alternativeNames == before.alternativeNames && after.alternativeNames.contains("api.lab"))
        #expect(await folder.run("certs renew nonsense") == 1)
        #expect(await folder.run("certs check-expiration") == 0)
        #expect(folder.said.contains("CERTIFICATE AUTHORITY   EXPIRES") && folder.said.contains("364d"))
    }

    @Test func manifestsAreUpstreamsPods() throws {
        var settings = ClusterSettings(nodeName: "node1", advertiseAddress: "172.30.0.11")
        settings.podSubnet = "10.244.0.0/16"
        settings.apiArguments = [("v", "4"), ("authorization-mode", "RBAC")]
        let all = Manifests(settings: settings).all
        #expect(all.map(\.name) == ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"])
        let server = try YAML.document(Array(all[1].text.utf8))
        let command = server[path: ["spec", "containers"]]?[0]?["command"]?.array?.compactMap(\.string) ?? []
        #expect(command.first == "kube-apiserver" && command.contains("--advertise-address=172.30.0.11") && command.contains("--v=4"))
        #expect(command.contains("--authorization-mode=RBAC") && !command.contains("--authorization-mode=Node,RBAC"))
        #expect(server["metadata"]?["labels"] == ["component": "kube-apiserver", "tier": "control-plane"])
        #expect(server[path: ["spec", "hostNetwork"]] == true && server["metadata"]?["namespace"] == "kube-system")
        #expect(all[2].text.contains("--cluster-cidr=10.244.0.0/16"))
        settings.podSubnet = ""
        #expect(!Manifests(settings: settings).all[2].text.contains("allocate-node-cidrs"))
    }

    @Test func theClusterInfoIsSignedByItsTokens() throws {
        var settings = ClusterSettings(nodeName: "node1", advertiseAddress: "172.30.0.11")
        settings.tokens = [TokenSettings(token: BootstrapToken.random())]
        let objects = ClusterObjects(settings: settings).clusterInfo(authority: "PEM")
        let data = objects[0]["data"]?.strings ?? [:]
        let token = settings.tokens[0].token
        #expect(token.verifies(data["jws-kubeconfig-\(token.id)"] ?? "", of: data["kubeconfig"] ?? ""))
        #expect(objects[0]["metadata"]?["namespace"] == "kube-public" && objects[2]["subjects"]?[0]?["name"] == "system:anonymous")
    }

    @Test func addOnsUseTheClustersAddresses() {
        var settings = ClusterSettings(nodeName: "node1", advertiseAddress: "172.30.0.11")
        settings.serviceSubnet = "10.50.0.0/16"
        settings.domain = "lab.local"
        let addons = Addons(settings: settings)
        let service = addons.dns.first { $0["kind"] == "Service" }
        #expect(service?["spec"]?["clusterIP"] == "10.50.0.10")
        #expect(addons.corefile.contains("kubernetes lab.local in-addr.arpa ip6.arpa {") && addons.corefile.hasSuffix("}\n"))
        #expect(addons.proxy.contains { $0["kind"] == "DaemonSet" && $0["metadata"]?["name"] == "kube-proxy" })
    }

    @Test func preflightNamesAllThatIsWrongAtOnce() async throws {
        let folder = try Folder()
        let kernel = LinuxKernel()
        try kernel.makeDirectories(folder.root + "/proc/self/net")
        try kernel.write(
            folder.root + "/proc/self/net/tcp",
            text:
                "  sl  local_address\n   0: 00000000:192B 00000000:0000 0A 0 0 0 0 0 0\n   1: 00000000:280A 00000000:0000 01 0 0 0 0 0 0\n")
        try kernel.makeDirectories(folder.root + "/etc/kubernetes/manifests")
        try kernel.write(folder.root + "/etc/kubernetes/manifests/etcd.yaml", text: "")
        try kernel.makeDirectories(folder.root + "/var/lib/etcd/member")
        #expect(await folder.run("init --ignore-preflight-errors=DirAvailable--var-lib-etcd") == 1)
        let text = folder.complained
        #expect(text.contains("error execution phase preflight: [preflight] Some fatal errors occurred:\n"))
        #expect(text.contains("\t[ERROR Port-6443]: Port 6443 is in use\n") && !text.contains("Port-10250"))
        #expect(
            text.contains(
                "\t[ERROR FileAvailable--etc-kubernetes-manifests-etcd.yaml]: /etc/kubernetes/manifests/etcd.yaml already exists\n"))
        #expect(text.contains("\t[WARNING DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty\n"))
        #expect(text.contains("[ERROR ImagePull]") && text.hasSuffix("with --v=5 or higher\n"))
    }

    @Test func joiningAsksForWhatIsMissing() async throws {
        let folder = try Folder()
        #expect(await folder.run("join") == 1)
        #expect(folder.complained.contains("discovery: Invalid value: \"\": bootstrapToken or file must be set"))
        #expect(await folder.run("join 172.30.0.11:6443 --token abcdef.0123456789abcdef") == 1)
        #expect(folder.complained.contains("using token-based discovery without caCertHashes can be unsafe"))
    }

    @Test func resetAsksAndLeavesRoomForAnotherInit() async throws {
        let folder = try Folder()
        _ = await folder.run("init phase certs all")
        _ = await folder.run("init phase kubeconfig all")
        _ = await folder.run("init phase etcd local")
        #expect(await folder.run("reset", answer: "n") == 1 && folder.exists("/etc/kubernetes/pki/ca.crt"))
        #expect(folder.complained.contains("aborted reset operation"))
        #expect(await folder.run("reset", answer: "y") == 0)
        for path in ["pki/ca.crt", "admin.conf", "manifests/etcd.yaml"] { #expect(!folder.exists("/etc/kubernetes/" + path)) }
        #expect(folder.exists("/etc/kubernetes/pki") && folder.exists("/etc/kubernetes/manifests"))
    }

    @Test(arguments: [
        ("version -o short", 0, "v1.32.0\n"), ("version", 0, "GitVersion:\"v1.32.0\""),
        ("config images list", 0, "registry.k8s.io/pause:3.10\n"),
        ("config print init-defaults", 0, "kind: InitConfiguration"), ("config print join-defaults", 0, "kind: JoinConfiguration"),
        ("certs certificate-key", 0, ""), ("token generate", 0, "."), ("init --help", 0, "--pod-network-cidr"),
        ("", 0, "kubeadm [command]"),
        ("nonsense", 1, ""), ("init surplus", 1, ""), ("upgrade plan", 1, ""), ("init --nonsense", 1, ""),
    ])
    func commandsAnswer(words: String, status: Int32, text: String) async throws {
        let folder = try Folder()
        #expect(await folder.run(words) == status)
        #expect(text.isEmpty || folder.said.contains(text))
        if status != 0 { #expect(!folder.complained.isEmpty) }
    }
}
