// What kubeadm's configuration files and flags make of a cluster.
import Essentials
import Kubeadm
import Testing
import Yaml

@Suite struct ClusterSettingsTests {
    private func read(_ text: String) throws -> ClusterSettings {
        var settings = ClusterSettings(nodeName: "node1", advertiseAddress: "172.30.0.11")
        try settings.read(text)
        return settings
    }

    @Test func bothVersionsOfTheFileAreRead() throws {
        let old = try read(
            """
            apiVersion: kubeadm.k8s.io/v1beta3
            kind: InitConfiguration
            bootstrapTokens:
            - token: abcdef.0123456789abcdef
              ttl: 1h30m0s
            localAPIEndpoint:
              advertiseAddress: 172.30.0.12
              bindPort: 7443
            nodeRegistration:
              name: Master
              taints: []
              kubeletExtraArgs:
                max-pods: "50"
              ignorePreflightErrors: [Port-6443]
            ---
            apiVersion: kubeadm.k8s.io/v1beta3
            kind: ClusterConfiguration
            networking:
              podSubnet: 10.244.0.0/16
              dnsDomain: lab.local
            apiServer:
              certSANs: [api.lab, 10.0.0.9]
              extraArgs:
                v: "4"
            """)
        #expect(old.tokens.first?.token.id == "abcdef" && old.tokens.first?.seconds == 5400)
        #expect(old.advertiseAddress == "172.30.0.12" && old.bindPort == 7443 && old.nodeName == "master")
        #expect(old.taints == [] && old.kubeletArguments.map(\.0) == ["max-pods"] && old.ignoredChecks == ["port-6443"])
        #expect(old.podSubnet == "10.244.0.0/16" && old.domain == "lab.local")
        #expect(old.serverNames(hostname: "node1").names.contains("api.lab"))
        #expect(old.serverNames(hostname: "node1").addresses == ["10.96.0.1", "172.30.0.12", "10.0.0.9"])
        let new = try read(
            """
            apiVersion: kubeadm.k8s.io/v1beta4
            kind: ClusterConfiguration
            apiServer:
              extraArgs:
              - name: v
                value: "4"
            """)
        #expect(new.apiArguments.map(\.0) == old.apiArguments.map(\.0) && new.apiArguments.map(\.1) == ["4"])
    }

    @Test func aJoinConfigurationSaysWhereToGo() throws {
        let settings = try read(
            """
            apiVersion: kubeadm.k8s.io/v1beta4
            kind: JoinConfiguration
            discovery:
              bootstrapToken:
                apiServerEndpoint: 172.30.0.11:6443
                token: abcdef.0123456789abcdef
                caCertHashes: ["sha256:00"]
            controlPlane:
              certificateKey: "11"
            """)
        #expect(settings.discovery.server == "172.30.0.11:6443" && settings.discovery.hashes == ["sha256:00"])
        #expect(settings.joinsControlPlane && settings.certificateKey == "11")
    }

    @Test func whatIsStoredIsReadBack() throws {
        var settings = ClusterSettings(nodeName: "node1", advertiseAddress: "172.30.0.11")
        settings.podSubnet = "10.244.0.0/16"
        settings.endpoint = "api.lab:6443"
        settings.apiArguments = [("v", "4")]
        let again = try read(YAML.text(settings.clusterConfiguration))
        #expect(again.podSubnet == settings.podSubnet && again.server == "api.lab:6443" && again.apiArguments.map(\.1) == ["4"])
        #expect(again.clusterConfiguration == settings.clusterConfiguration)
    }

    @Test func aKubeletConfigurationChangesTheDefaults() throws {
        let settings = try read("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 30\n")
        #expect(settings.kubeletConfiguration["maxPods"] == 30)
        #expect(settings.kubeletConfiguration["clusterDNS"] == ["10.96.0.10"])
        #expect(settings.kubeletConfiguration["staticPodPath"] == "/etc/kubernetes/manifests")
    }

    @Test(arguments: [
        ("apiVersion: kubeadm.k8s.io/v1beta1\nkind: InitConfiguration\n", "your configuration file uses an old API spec"),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: Nonsense\n", "no kind \"Nonsense\" is registered"),
        ("apiVersion: v1\nkind: Pod\n", "no kind \"Pod\" is registered"),
        ("kind: InitConfiguration\n", "kind and apiVersion is mandatory"),
        ("a: [", "error converting YAML to JSON"),
    ])
    func whatCannotBeReadIsSaid(text: String, words: String) {
        #expect { _ = try read(text) } throws: { ($0 as? KubeadmProblem)?.message.contains(words) == true }
    }

    @Test func addressesOfABlockAreCounted() {
        #expect(ServiceAddress.nth(1, of: "10.96.0.0/12") == "10.96.0.1")
        #expect(ServiceAddress.nth(10, of: "10.97.3.4/16") == "10.97.0.10")
        for text in ["10.96.0.0", "10.96.0.0/33", "10.96.0/8", "x/8", ""] { #expect(ServiceAddress.nth(1, of: text) == nil) }
    }

    @Test func flagsAreReadAsCobraReadsThem() throws {
        let arguments = try KubeadmArguments(
            ["--token", "t", "--token-ttl=0", "-v", "5", "--upload-certs", "word", "--ignore-preflight-errors=a,b", "-v5"],
            flags: ["token", "token-ttl", "ignore-preflight-errors"], switches: ["upload-certs"])
        #expect(arguments["token"] == "t" && arguments["token-ttl"] == "0" && arguments.isOn("upload-certs") && arguments.words == ["word"])
        #expect(arguments.list("ignore-preflight-errors") == ["a", "b"])
        func refusal(_ words: [String]) -> String? {
            do throws(KubeadmProblem) {
                _ = try KubeadmArguments(words, flags: ["token"], switches: ["force"])
                return nil
            } catch { return error.message }
        }
        #expect(refusal(["--nonsense"]) == "unknown flag: --nonsense")
        #expect(refusal(["--token"]) == "flag needs an argument: --token")
        #expect(refusal(["-x"]) == "unknown shorthand flag: 'x' in -x")
        #expect(refusal(["--force=maybe"])?.hasPrefix("invalid argument \"maybe\" for \"--force\" flag") == true)
    }

    @Test(arguments: [("24h0m0s", 86400), ("90m", 5400), ("0", 0), ("1.5h", 5400), ("", nil), ("5", nil), ("x", nil)] as [(String, Int?)])
    func durationsAreGos(text: String, seconds: Int?) { #expect(KubeadmArguments.seconds(text) == seconds) }

    @Test func aLabsDefaultsAreUpstreamsWithoutTheFile() {
        #expect(LabDefaults(yaml: nil) == LabDefaults())
        #expect(
            LabDefaults(yaml: "schedulableControlPlane: true\nrootKubeconfig: true\n")
                == LabDefaults(isSchedulable: true, givesRootAccess: true))
        #expect(LabDefaults(yaml: "[") == LabDefaults())
    }
}
