// Endpoints and EndpointSlices: what they say of pods, and that they follow them.
import ClusterClient
import ClusterModel
import Essentials
import Testing

@testable import Controllers

@Suite(.timeLimit(.minutes(1))) struct EndpointTests {
    private func service(_ spec: JSON) -> JSON { ["metadata": ["name": "web", "namespace": "default", "uid": "s"], "spec": spec] }

    private func pod(_ name: String, ip: String = "10.0.0.1", ready: Bool = true, deleting: Bool = false, spec: JSON = .emptyObject) -> JSON
    {
        var pod: JSON = [
            "metadata": ["name": JSON(name), "namespace": "default", "uid": JSON("u-" + name)], "spec": spec,
            "status": ["phase": "Running", "podIP": JSON(ip), "conditions": [["type": "Ready", "status": ready ? "True" : "False"]]],
        ]
        if deleting { pod["metadata"]?["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return pod
    }

    @Test func namedPortsAreLookedUpInThePod() {
        let spec: JSON = [
            "containers": [["ports": [["name": "http", "containerPort": 8080], ["name": "dns", "containerPort": 53, "protocol": "UDP"]]]]
        ]
        let pod = pod("a", spec: spec)
        #expect(EndpointPlan.number(["port": 80, "targetPort": "http"], in: pod) == 8080)
        #expect(EndpointPlan.number(["port": 80, "targetPort": "dns"], in: pod) == nil, "the protocol differs")
        #expect(EndpointPlan.number(["port": 80, "targetPort": "dns", "protocol": "UDP"], in: pod) == 53)
        #expect(EndpointPlan.number(["port": 80, "targetPort": 0], in: pod) == 80)
        #expect(EndpointPlan.number(["port": 80], in: pod) == 80)
    }

    @Test func readyServingAndTerminatingAreToldApart() {
        let plain = service(["ports": [["port": 80]]])
        func conditions(_ service: JSON, _ pod: JSON) -> [Bool?] {
            let entry = EndpointPlan.endpoint(service, pod, address: "10.0.0.1", zone: nil)
            return ["ready", "serving", "terminating"].map { entry["conditions"]?[$0]?.bool }
        }
        #expect(conditions(plain, pod("a")) == [true, true, false])
        #expect(conditions(plain, pod("a", ready: false)) == [false, false, false])
        #expect(conditions(plain, pod("a", deleting: true)) == [false, true, true])
        let all = service(["ports": [["port": 80]], "publishNotReadyAddresses": true])
        #expect(conditions(all, pod("a", ready: false)) == [true, false, false])
    }

    @Test func subsetsHoldReadyAndWaitingAddresses() {
        let service = service(["clusterIP": "None", "ports": [["name": "web", "port": 80]]])
        let named = pod("b", ip: "10.0.0.2", spec: ["hostname": "b", "subdomain": "web", "nodeName": "n1"])
        let subsets = EndpointPlan.subsets(service, pods: [named, pod("a", ready: false), pod("c", ip: "10.0.0.3", deleting: true)])
        #expect(subsets.count == 1)
        #expect(subsets[0]["addresses"]?.array?.count == 1)
        #expect(subsets[0]["addresses"]?[0]?["hostname"] == "b")
        #expect(subsets[0]["addresses"]?[0]?["nodeName"] == "n1")
        #expect(subsets[0]["notReadyAddresses"]?[0]?["ip"] == "10.0.0.1")
        #expect(subsets[0]["ports"]?[0]?["port"] == 80)
    }

    @Test func anEndpointStaysInItsSlice() {
        func entry(_ number: Int) -> JSON { ["addresses": [JSON("10.0.0.\(number)")], "targetRef": ["uid": JSON("u\(number)")]] }
        let template: JSON = ["metadata": ["generateName": "web-"], "addressType": "IPv4"]
        let ports: [JSON] = [["name": "", "port": 80, "protocol": "TCP"]]
        func slice(_ name: String, _ numbers: [Int]) -> JSON {
            ["metadata": ["name": JSON(name), "uid": JSON(name)], "endpoints": JSON(numbers.map(entry)), "ports": JSON(ports)]
        }
        let many = EndpointPlan.Group(ports: ports, endpoints: (0..<150).map(entry))
        let fresh = SlicePlan.make(existing: [], groups: [many], template: template)
        #expect(fresh.create.map { $0["endpoints"]?.array?.count } == [100, 50])
        let one = slice("one", Array(0..<100))
        let two = slice("two", Array(100..<150))
        #expect(SlicePlan.make(existing: [one, two], groups: [many], template: template) == SlicePlan())
        let fewer = EndpointPlan.Group(ports: ports, endpoints: (1..<150).map(entry))
        let plan = SlicePlan.make(existing: [one, two], groups: [fewer], template: template)
        #expect(plan.update.map(\.metaName) == ["one"] && plan.create.isEmpty && plan.delete.isEmpty)
        let few = EndpointPlan.Group(ports: ports, endpoints: (100..<110).map(entry))
        let shrunk = SlicePlan.make(existing: [one, two], groups: [few], template: template)
        #expect(shrunk.delete.map(\.metaName) == ["one"] && shrunk.update.map(\.metaName) == ["two"])
        let none = SlicePlan.make(existing: [], groups: [], template: template)
        #expect(none.create.map { $0["endpoints"]?.array?.count } == [0])
    }

    @Test func aServiceFollowsItsPods() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            _ = try await client.create(
                .services,
                [
                    "metadata": ["name": "web", "namespace": "default", "labels": ["tier": "front"]],
                    "spec": ["clusterIP": "None", "selector": ["app": "web"], "ports": [["name": "http", "port": 80]]],
                ])
            _ = try await client.create(.deployments, WorkloadHarness.deployment("web", replicas: 3))
            // The empty slice of a service without pods goes when the first with ports is there.
            let slices = try await cluster.waitForAll(.endpointSlices) { ready($0) == 3 && $0.count == 1 }
            #expect(slices.count == 1)
            #expect(slices[0].metaLabels["kubernetes.io/service-name"] == "web")
            #expect(slices[0].metaLabels["tier"] == "front")
            #expect(slices[0].metaLabels["service.kubernetes.io/headless"] == "")
            #expect(slices[0]["endpoints"]?[0]?["nodeName"]?.string?.hasPrefix("n") ?? false)
            try await cluster.wait(.endpoints, "web") { $0["subsets"]?[0]?["addresses"]?.array?.count == 3 }
            _ = try await client.patch(.deployments, namespace: "default", name: "web", .merge, ["spec": ["replicas": 1]])
            try await cluster.waitForAll(.endpointSlices) { ready($0) == 1 && $0[0]["endpoints"]?.array?.count == 1 }
            try await client.delete(.services, namespace: "default", name: "web")
            try await cluster.waitForAll(.endpoints) { $0.isEmpty }
            try await cluster.waitForAll(.endpointSlices) { $0.isEmpty }
        }
    }

    @Test func endpointsOfAServiceWithoutSelectorAreMirrored() async throws {
        let cluster = try await WorkloadHarness()
        let client = cluster.client
        try await cluster.run {
            _ = try await client.create(
                .endpoints,
                [
                    "metadata": ["name": "db", "namespace": "default"],
                    "subsets": [["addresses": [["ip": "192.0.2.1"]], "ports": [["port": 5432]]]],
                ])
            _ = try await client.create(
                .services, ["metadata": ["name": "db", "namespace": "default"], "spec": ["clusterIP": "None", "ports": [["port": 5432]]]])
            let slices = try await cluster.waitForAll(.endpointSlices) { ready($0) == 1 }
            #expect(slices[0].metaLabels["endpointslice.kubernetes.io/managed-by"] == "endpointslicemirroring-controller.k8s.io")
            #expect(slices[0]["endpoints"]?[0]?["addresses"]?[0] == "192.0.2.1")
            #expect(slices[0]["ports"]?[0]?["port"] == 5432)
            #expect(try await client.get(.endpoints, namespace: "default", name: "db")["subsets"]?.array?.count == 1, "left alone")
        }
    }

    private func ready(_ slices: [JSON]) -> Int {
        slices.reduce(0) { sum, slice in sum + (slice["endpoints"]?.array ?? []).count { $0["conditions"]?["ready"] == true } }
    }
}
