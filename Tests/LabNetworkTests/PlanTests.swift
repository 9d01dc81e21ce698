// Which node has which pods, whom policies let through, and what services become: decided without a kernel.
import ClusterModel
import Essentials
import Kernel
import PodNetwork
import ServiceProxy
import Testing

@Suite struct PlanTests {
    static func node(_ name: String, _ address: String, podCIDR: String? = nil) -> JSON {
        var node: JSON = [
            "metadata": ["name": JSON(name)],
            "status": ["addresses": [["type": "Hostname", "address": JSON(name)], ["type": "InternalIP", "address": JSON(address)]]],
        ]
        if let podCIDR { node["spec"] = ["podCIDR": JSON(podCIDR)] }
        return node
    }

    static let range = IPv4Block("10.32.0.0/12")!
    static let wire = IPv4Block("172.30.0.0/24")!

    @Test func everyNodeComesToTheSameSubnets() throws {
        let nodes = [Self.node("node1", "172.30.0.11"), Self.node("node2", "172.30.0.12"), Self.node("far", "172.31.5.9")]
        let plans = try ["node1", "node2"].map { try NodePlan(name: $0, nodes: nodes, range: Self.range, wire: Self.wire) }
        #expect(plans.map(\.subnet) == [IPv4Block("10.32.11.0/24")!, IPv4Block("10.32.12.0/24")!])
        #expect(plans[0].neighbours.map(\.name) == ["node2"] && plans[0].distant.map(\.name) == ["far"])
        #expect(
            plans[0].routes(tunnelLink: 9).map { "\($0.destination) \($0.gateway!)" } == [
                "10.32.12.0/24 172.30.0.12", "10.37.9.0/24 10.37.9.0",
            ])
    }

    @Test func aSubnetThatIsGivenCounts() throws {
        let nodes = [Self.node("node1", "172.30.0.11", podCIDR: "10.244.0.0/24"), Self.node("node2", "172.30.0.12")]
        let plan = try NodePlan(name: "node1", nodes: nodes, range: nil, wire: Self.wire)
        #expect(plan.subnet == IPv4Block("10.244.0.0/24")! && plan.neighbours.isEmpty)
        #expect(throws: PodNetworkProblem.noSubnet("node2")) { try NodePlan(name: "node2", nodes: nodes, range: nil, wire: Self.wire) }
        #expect(throws: PodNetworkProblem.nodeUnknown("node9")) { try NodePlan(name: "node9", nodes: nodes, range: nil, wire: Self.wire) }
        let twins = [Self.node("a", "172.30.0.11"), Self.node("b", "172.46.0.11")]
        #expect(throws: PodNetworkProblem.self) { try NodePlan(name: "b", nodes: twins, range: Self.range, wire: Self.wire) }
    }

    static func pod(_ name: String, _ address: String, labels: [String: String], namespace: String = "default", node: String = "node1")
        -> PolicyPod
    {
        PolicyPod([
            "metadata": ["name": JSON(name), "namespace": JSON(namespace), "labels": JSON(labels)],
            "spec": ["nodeName": JSON(node), "containers": [["ports": [["name": "web", "containerPort": 8080]]]]],
            "status": ["podIP": JSON(address), "phase": "Running"],
        ])!
    }

    static func policy(_ spec: JSON) -> JSON { ["metadata": ["name": "p", "namespace": "default"], "spec": spec] }

    func ranges(_ set: FilterSet?) -> [String] {
        (set?.elements ?? []).map { "\($0.endsInterval ? "<" : "")\($0.key.map(String.init).joined(separator: "."))" }
    }

    @Test func policiesBecomeSetsOfAddresses() throws {
        let pods = [
            Self.pod("web", "10.32.11.2", labels: ["app": "web"]),
            Self.pod("friend", "10.32.12.3", labels: ["app": "friend"], node: "node2"),
            Self.pod("blue", "10.32.12.4", labels: [:], namespace: "blue", node: "node2"),
        ]
        let policy = Self.policy([
            "podSelector": ["matchLabels": ["app": "web"]],
            "ingress": [
                [
                    "from": [
                        ["podSelector": ["matchLabels": ["app": "friend"]]], ["namespaceSelector": ["matchLabels": ["team": "blue"]]],
                        ["ipBlock": ["cidr": "192.168.0.0/16", "except": ["192.168.1.0/24"]]],
                    ], "ports": [["port": "web"], ["port": 53, "protocol": "UDP"]],
                ]
            ],
        ])
        var compiler = PolicyCompiler(
            policies: [policy], pods: pods, namespaces: ["default": [:], "blue": ["team": "blue"]], node: "node1")
        let compiled = compiler.compile()
        let table = try #require(compiled)
        let peers = table.sets.first { $0.key.hasPrefix("peers-") }
        #expect(
            ranges(peers?.value) == [
                "10.32.12.3", "<10.32.12.5", "192.168.0.0", "<192.168.1.0", "192.168.2.0", "<192.169.0.0",
            ])
        #expect(table.sets["ingress-pods"]?.elements.count == 1 && table.sets["egress-pods"]?.elements.isEmpty == true)
        let chain = table.chains.first { $0.key.hasPrefix("ingress-") && $0.value.base == nil }
        #expect(chain?.value.rules.count == 4, "itself, TCP, UDP, and the end")
        #expect(chain?.value.rules.last == [.verdict(.drop)])
        var elsewhere = PolicyCompiler(policies: [policy], pods: pods, namespaces: [:], node: "node2")
        #expect(elsewhere.compile() == nil, "policies are for the pods of the own node")
    }

    @Test func emptyRulesAllowAllAndNoRulesNone() throws {
        let pods = [Self.pod("web", "10.32.11.2", labels: [:])]
        func rules(_ spec: JSON) throws -> [FilterRule] {
            var compiler = PolicyCompiler(policies: [Self.policy(spec)], pods: pods, namespaces: [:], node: "node1")
            let compiled = compiler.compile()
            return try #require(compiled).chains.first { $0.value.base == nil }?.value.rules ?? []
        }
        #expect(try rules(["podSelector": .emptyObject, "policyTypes": ["Egress"]]) == [[.verdict(.drop)]])
        #expect(try rules(["podSelector": .emptyObject, "egress": [.emptyObject], "policyTypes": ["Egress"]]).first == [.verdict(.accept)])
    }

    static func slice(_ endpoints: [JSON]) -> JSON {
        ["addressType": "IPv4", "ports": [["name": "http", "port": 8080, "protocol": "TCP"]], "endpoints": .array(endpoints)]
    }

    static func endpoint(_ address: String, _ conditions: JSON, node: String = "node1") -> JSON {
        ["addresses": [JSON(address)], "conditions": conditions, "nodeName": JSON(node)]
    }

    @Test func endpointsThatServeAreTaken() throws {
        let service: JSON = [
            "metadata": ["name": "web", "namespace": "default"],
            "spec": ["clusterIP": "10.96.0.5", "type": "NodePort", "ports": [["name": "http", "port": 80, "nodePort": 30080]]],
        ]
        func endpoints(_ list: [JSON]) -> [String] {
            ServicePort.ports(of: service, slices: [Self.slice(list)], node: "node1").first?.endpoints.map(\.address.description) ?? []
        }
        let ready = Self.endpoint("10.32.11.2", ["ready": true])
        let ending = Self.endpoint("10.32.11.3", ["ready": false, "serving": true, "terminating": true])
        let broken = Self.endpoint("10.32.11.4", ["ready": false])
        #expect(endpoints([ready, ending, broken]) == ["10.32.11.2"])
        #expect(endpoints([ending, broken]) == ["10.32.11.3"])
        #expect(endpoints([broken]) == [])
        for spec: JSON in [["clusterIP": "None"], ["type": "ExternalName", "externalName": "a.b"], ["clusterIP": ""]] {
            #expect(ServicePort.ports(of: ["metadata": ["name": "x", "namespace": "y"], "spec": spec], slices: [], node: "n").isEmpty)
        }
    }

    @Test func servicesBecomeChains() throws {
        let both = [
            ServiceEndpoint(address: IPv4("10.32.11.2")!, port: 8080, isLocal: true),
            ServiceEndpoint(address: IPv4("10.32.12.2")!, port: 8080, isLocal: false),
        ]
        let service: JSON = [
            "metadata": ["name": "web", "namespace": "default"],
            "spec": ["clusterIP": "10.96.0.5", "type": "NodePort", "ports": [["name": "http", "port": 80, "nodePort": 30080]]],
        ]
        var port = try #require(ServicePort.ports(of: service, slices: [], node: "node1").first)
        var table = build(port)
        #expect(table.sets["no-endpoint-services"]?.elements.count == 1 && table.sets["no-endpoint-nodeports"]?.elements.count == 1)
        #expect(table.sets["service-ips"]?.elements.isEmpty == true)

        port.endpoints = both
        table = build(port)
        let chain = try #require(table.chains.first { $0.key.hasPrefix("service-") })
        #expect(chain.value.rules.count == 1)
        #expect(table.sets["service-ips"]?.elements.first?.value == .verdict(.goto(chain.key)))
        #expect(table.chains.first { $0.key.hasPrefix("external-") }?.value.rules.first?.last == .verdict(.goto(chain.key)))
        #expect(table.sets["no-endpoint-nodeports"]?.elements.isEmpty == true)

        port.externalIsLocal = true
        table = build(port)
        #expect(table.sets["no-endpoint-nodeports"]?.elements.first?.value == .verdict(.drop), "others have them")
        port.affinitySeconds = 60
        table = build(port)
        #expect(table.sets.filter { $0.value.timeoutSeconds == 60 }.count == 2)
        #expect(table.chains.first { $0.key.hasPrefix("service-") }?.value.rules.count == 4)
    }

    func build(_ port: ServicePort) -> FilterTable {
        var table = ServiceTable(clusterNetwork: nil)
        return table.build([port])
    }
}
