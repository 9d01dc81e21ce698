// Services of type LoadBalancer have the nodes' addresses, and no port twice.
import ClusterClient
import ClusterModel
import Essentials
import Testing

@testable import Controllers

@Suite struct LoadBalancerTests {
    static func node(_ name: String, _ address: String, ready: String = "True") -> JSON {
        [
            "metadata": ["name": JSON(name)],
            "status": [
                "addresses": [["type": "InternalIP", "address": JSON(address)]], "conditions": [["type": "Ready", "status": JSON(ready)]],
            ],
        ]
    }

    static func service(_ name: String, _ port: Int, at time: String, more: JSON = .emptyObject) -> JSON {
        var spec: JSON = ["type": "LoadBalancer", "ports": [["port": JSON(port), "protocol": "TCP"]]]
        for (key, value) in more.members { spec[key] = value }
        return ["metadata": ["name": JSON(name), "namespace": "default", "creationTimestamp": JSON(time)], "spec": spec]
    }

    @Test func theOlderServiceHasThePort() {
        let plan = BalancerPlan(
            services: [
                Self.service("late", 80, at: "2026-01-01T00:00:09Z"), Self.service("early", 80, at: "2026-01-01T00:00:01Z"),
                Self.service("other", 81, at: "2026-01-01T00:00:02Z", more: ["loadBalancerIP": "172.30.0.12"]),
                Self.service("api", 6443, at: "2026-01-01T00:00:03Z"),
                Self.service("foreign", 82, at: "2026-01-01T00:00:03Z", more: ["loadBalancerClass": "example.org/other"]),
                Self.service("plain", 83, at: "2026-01-01T00:00:03Z", more: ["type": "NodePort"]),
            ],
            nodes: [
                Self.node("node2", "172.30.0.12"), Self.node("node1", "172.30.0.11"), Self.node("node3", "172.30.0.13", ready: "False"),
            ])
        #expect(plan.outcomes["default/early"] == .addresses(["172.30.0.11", "172.30.0.12"]))
        #expect(plan.outcomes["default/late"] == .taken(port: 80, by: "default/early"))
        #expect(plan.outcomes["default/other"] == .addresses(["172.30.0.12"]))
        #expect(plan.outcomes["default/api"] == .taken(port: 6443, by: nil))
        #expect(plan.outcomes["default/foreign"] == nil && plan.outcomes["default/plain"] == nil)
    }

    @Test func statusFollowsTheType() async throws {
        let harness = try await WorkloadHarness()
        try await harness.run(["service-lb-controller"]) {
            _ = try await harness.client.create(
                .services,
                [
                    "metadata": ["name": "web", "namespace": "default"],
                    "spec": ["type": "LoadBalancer", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ports": [["port": 80]]],
                ])
            _ = try? await harness.client.create(.nodes, ["metadata": ["name": "n9"]])
            _ = try await harness.client.patch(.nodes, name: "n9", .strategic, Self.node("n9", "172.30.0.19"), subresource: "status")
            try await harness.wait(.services, "web") {
                $0["status"]?["loadBalancer"]?["ingress"]?.array?.contains { $0["ip"]?.string == "172.30.0.19" } == true
            }
            _ = try await harness.client.patch(.services, namespace: "default", name: "web", .merge, ["spec": ["type": "ClusterIP"]])
            try await harness.wait(.services, "web") { ($0["status"]?["loadBalancer"]?["ingress"]?.array ?? []).isEmpty }
        }
    }
}
