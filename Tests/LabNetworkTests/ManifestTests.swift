// The manifests that a learner applies: ours, and one in flannel's shape, fit what the daemon and the plugin read.
import Essentials
import Kernel
import PodNetwork
import Testing
import Yaml

@Suite struct ManifestTests {
    static func documents(_ path: String) throws -> [JSON] {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try documents(LinuxKernel().read("/\(root)/\(path)", limitBytes: 1 << 20))
    }

    static func documents(_ text: [UInt8]) throws -> [JSON] {
        let documents = try YAML.documents(text)
        return documents.flatMap { $0["kind"]?.string == "List" ? $0["items"]?.array ?? [] : [$0] }
    }

    static func find(_ kind: String, _ documents: [JSON]) throws -> JSON { try #require(documents.first { $0["kind"]?.string == kind }) }

    @Test func flannelsConfigurationsAreRead() throws {
        let data = try Self.find("ConfigMap", Self.documents(Array(FlannelManifest.text.utf8)))["data"]
        let network = try CNIInstallation.flannelNetwork(data?["net-conf.json"]?.string ?? "")
        #expect(network == IPv4Block("10.244.0.0/16")!)
        let list = try JSON(parsing: Array((data?["cni-conf.json"]?.string ?? "").utf8))
        var configuration = try #require(list["plugins"]?[0])
        configuration["cniVersion"] = list["cniVersion"]
        configuration["name"] = list["name"]
        let request = try CNIRequest(environment: CNITests.environment, input: Array(configuration.text.utf8))
        let plan = try PodAttachment(plugin: "flannel", request) {
            CNIInstallation.flannelEnvironment(network: network, subnet: IPv4Block("10.244.1.0/24")!, mtu: 1500, masquerades: true)
        }
        #expect(plan.network == "cbr0" && plan.bridge == "cni0" && plan.range.gateway == IPv4("10.244.1.1")!)
    }

    /// What the daemons ask the API server for, their roles allow.
    @Test func rolesAllowWhatTheDaemonsDo() throws {
        for path in ["weave-daemonset-k8s.yaml", "lectern-net.yaml"] {
            let documents = try Self.documents("Workshops/kubernetes-for-beginners/mirrors/\(path)")
            let rules = try Self.find("ClusterRole", documents)["rules"]?.array ?? []
            func allows(_ group: String, _ resource: String, _ verb: String) -> Bool {
                rules.contains { rule in
                    rule["apiGroups"]?.array?.contains(JSON(group)) == true && rule["resources"]?.array?.contains(JSON(resource)) == true
                        && rule["verbs"]?.array?.contains(JSON(verb)) == true
                }
            }
            for verb in ["get", "list", "watch"] {
                for resource in ["pods", "namespaces", "nodes"] { #expect(allows("", resource, verb), "\(path) \(resource) \(verb)") }
                #expect(allows("networking.k8s.io", "networkpolicies", verb), "\(path)")
            }
            #expect(allows("", "nodes/status", "patch"), "\(path)")
            let pod = try Self.find("DaemonSet", documents)["spec"]?["template"]?["spec"]
            #expect(pod?["hostNetwork"]?.bool == true && pod?["containers"]?[0]?["readinessProbe"]?["httpGet"]?["port"]?.int == 6784)
        }
    }
}
