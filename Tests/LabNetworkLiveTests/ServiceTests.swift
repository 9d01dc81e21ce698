// Services on real links: every kind of address answers, on both nodes, and updates leave connections alone.
import ClusterClient
import ClusterModel
import Essentials
import Kernel
import PodNetwork
import ServiceProxy
import Testing

extension Cluster {
    func addService(_ name: String, _ address: String, _ spec: JSON = .emptyObject, port: Int = 80, transport: String = "TCP") async throws
    {
        var spec = spec
        spec["clusterIP"] = JSON(address)
        spec["clusterIPs"] = [JSON(address)]
        var entry: JSON = ["port": JSON(port), "targetPort": 8080, "protocol": JSON(transport)]
        if let nodePort = spec["nodePort"] { entry["nodePort"] = nodePort }
        spec["nodePort"] = nil
        spec["ports"] = [entry]
        _ = try await client.create(.services, ["metadata": ["name": JSON(name), "namespace": "default"], "spec": spec])
        try await setEndpoints(name, [], transport: transport)
    }

    func setEndpoints(_ service: String, _ endpoints: [(IPv4, FakeNode)], transport: String = "TCP") async throws {
        let object: JSON = [
            "metadata": [
                "name": JSON(service + "-1"), "namespace": "default", "labels": ["kubernetes.io/service-name": JSON(service)],
            ],
            "addressType": "IPv4", "ports": [["port": 8080, "protocol": JSON(transport)]],
            "endpoints": .array(
                endpoints.map {
                    ["addresses": [JSON("\($0.0)")], "conditions": ["ready": true], "nodeName": JSON($0.1.name)]
                }),
        ]
        do throws(ClusterProblem) { _ = try await client.update(.endpointSlices, object) } catch {
            guard error.isNotFound else { throw error }
            _ = try await client.create(.endpointSlices, object)
        }
    }
}

extension LabNetworkLiveTests {
    /// Two nodes with their daemons and proxies, a pod on each that greets on 8080, and a client pod on the first.
    struct Served {
        let fakes: FakeNodes
        let cluster: Cluster
        let first: (pin: String, address: IPv4)
        let second: (pin: String, address: IPv4)
        let client: (pin: String, address: IPv4)
        let greeters: [Greeter]

        var one: FakeNode { fakes.nodes[0] }
        var two: FakeNode { fakes.nodes[1] }

        static func with(_ body: (Served) async throws -> Void) async throws {
            try await FakeNodes.with { fakes in
                let cluster = try await Cluster()
                for node in fakes.nodes { try await cluster.add(node) }
                let first = try fakes.addPod("a", on: fakes.nodes[0])
                let second = try fakes.addPod("b", on: fakes.nodes[1])
                let greeters = [try Greeter("first", port: 8080, in: first.pin), try Greeter("second", port: 8080, in: second.pin)]
                let served = Served(
                    fakes: fakes, cluster: cluster, first: first, second: second, client: try fakes.addPod("c", on: fakes.nodes[0]),
                    greeters: greeters)
                defer { for greeter in greeters { greeter.stop() } }
                let daemons = fakes.nodes.map { LabNetworkLiveTests.daemon(fakes, $0, cluster) }
                let proxies = fakes.nodes.map {
                    ServiceProxyLoop(client: cluster.client, node: $0.name, clusterNetwork: nil, networkNamespace: $0.pin)
                }
                var works: [@Sendable () async throws -> Void] = []
                for daemon in daemons { works.append { try await daemon.run() } }
                for proxy in proxies { works.append { try await proxy.run() } }
                try await beside(works) {
                    #expect(try await eventually { daemons.allSatisfy(\.isReady) && proxies.allSatisfy(\.isHealthy) })
                    try await body(served)
                }
            }
        }
    }

    @Test func aServiceAnswersAtEveryAddressItHas() async throws {
        try await Served.with { served in
            let address = IPv4("10.96.0.20")!
            try await served.cluster.addService(
                "web", "\(address)", ["type": "LoadBalancer", "nodePort": 30080, "externalIPs": ["192.0.2.7"]])
            // Nobody there yet: refused, not lost.
            #expect(try await eventually { try greeting(from: served.client.pin, address, 80, milliseconds: 200) == "" })
            #expect(try greeting(from: served.two.pin, served.one.address, 30080, milliseconds: 200) == "")
            try await served.cluster.setEndpoints("web", [(served.first.address, served.one), (served.second.address, served.two)])
            #expect(try await eventually { try greeting(from: served.client.pin, address, 80)?.isEmpty == false })
            var seen: Set<String> = []
            for _ in 0..<40 { seen.insert(try greeting(from: served.client.pin, address, 80) ?? "none") }
            // Pods see who they speak to.
            #expect(seen == ["first \(served.client.address)", "second \(served.client.address)"])
            for (pin, where_) in [
                (served.one.pin, "node"), (served.two.pin, "other node"), (served.first.pin, "pod"), (served.second.pin, "itself"),
            ] {
                for _ in 0..<6 { #expect(try greeting(from: pin, address, 80)?.isEmpty == false, "\(where_)") }
                for node in served.fakes.nodes {
                    for _ in 0..<4 { #expect(try greeting(from: pin, node.address, 30080)?.isEmpty == false, "\(where_) to \(node.name)") }
                }
                #expect(try greeting(from: pin, IPv4("192.0.2.7")!, 80)?.isEmpty == false, "external address from \(where_)")
            }
            for _ in 0..<6 { #expect(try greeting(from: served.one.pin, IPv4("127.0.0.1")!, 30080)?.isEmpty == false, "loopback") }
            #expect(try greeting(from: served.client.pin, address, 81, milliseconds: 200) == "", "a port that the service has not")

            let open = try LinuxKernel().connect(inNetworkNamespace: served.client.pin, address: "\(address)", port: 80)
            waitReadable(open, milliseconds: 1000)
            #expect(try LinuxKernel().receive(from: open, limitBytes: 100)?.isEmpty == false)
            try await served.cluster.addService("more", "10.96.0.21")
            try await served.cluster.setEndpoints("more", [(served.second.address, served.two)])
            #expect(
                try await eventually {
                    try greeting(from: served.client.pin, IPv4("10.96.0.21")!, 80, milliseconds: 200)?.hasPrefix("second") == true
                })
            for greeter in served.greeters { greeter.say("more") }
            waitReadable(open, milliseconds: 1000)
            #expect(try LinuxKernel().receive(from: open, limitBytes: 100) == Array("more".utf8), "still open")

            try await served.cluster.setEndpoints("web", [(served.second.address, served.two)])
            #expect(
                try await eventually {
                    try (0..<10).allSatisfy { _ in try greeting(from: served.client.pin, address, 80)?.hasPrefix("second") == true }
                })
            // What a curious learner takes away comes back.
            _ = try run(["/usr/sbin/nft", "flush", "ruleset"], in: served.one.pin)
            #expect(
                try await eventually { try greeting(from: served.client.pin, address, 80, milliseconds: 200)?.hasPrefix("second") == true })

            try await served.cluster.client.delete(.services, namespace: "default", name: "web")
            #expect(try await eventually { try greeting(from: served.client.pin, served.one.address, 30080, milliseconds: 200) == "" })
        }
    }

    @Test func affinityAndLocalPoliciesChoose() async throws {
        try await Served.with { served in
            let both = [(served.first.address, served.one), (served.second.address, served.two)]
            try await served.cluster.addService(
                "sticky", "10.96.0.30",
                ["type": "ClusterIP", "sessionAffinity": "ClientIP", "sessionAffinityConfig": ["clientIP": ["timeoutSeconds": 60]]])
            try await served.cluster.setEndpoints("sticky", both)
            try await served.cluster.addService(
                "near", "10.96.0.31",
                ["type": "NodePort", "nodePort": 30081, "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"])
            try await served.cluster.setEndpoints("near", [both[1]])
            #expect(
                try await eventually { try greeting(from: served.client.pin, IPv4("10.96.0.30")!, 80, milliseconds: 200)?.isEmpty == false }
            )
            let first = try greeting(from: served.client.pin, IPv4("10.96.0.30")!, 80)
            for _ in 0..<20 { #expect(try greeting(from: served.client.pin, IPv4("10.96.0.30")!, 80) == first) }

            // Node two has the endpoint and shows it the client as it is; node one has none and says nothing.
            #expect(
                try await eventually {
                    try greeting(from: served.one.pin, served.two.address, 30081, milliseconds: 200) == "second \(served.one.address)"
                })
            #expect(try greeting(from: served.two.pin, served.one.address, 30081, milliseconds: 200) == nil)
            #expect(try greeting(from: served.two.pin, IPv4("10.96.0.31")!, 80)?.hasPrefix("second") == true)
            #expect(try greeting(from: served.one.pin, IPv4("10.96.0.31")!, 80, milliseconds: 200) == nil)
            let rules = try run(["/usr/sbin/nft", "list", "table", "ip", "kube-proxy"], in: served.one.pin)
            #expect(rules.status == 0 && rules.output.contains("sticky"), "nft can list what was written: \(rules.output)")
        }
    }

    /// As the API server is: a process of the node itself, behind a ClusterIP.
    @Test func aServiceMayLeadToTheNodeItself() async throws {
        try await Served.with { served in
            let greeter = try Greeter("node", port: 8080, in: served.one.pin)
            defer { greeter.stop() }
            try await served.cluster.addService("api", "10.96.0.60", ["type": "NodePort", "nodePort": 30060])
            try await served.cluster.setEndpoints("api", [(served.one.address, served.one)])
            for pin in [served.client.pin, served.one.pin, served.two.pin, served.second.pin] {
                #expect(
                    try await eventually { try greeting(from: pin, IPv4("10.96.0.60")!, 80, milliseconds: 200)?.hasPrefix("node") == true })
                #expect(try greeting(from: pin, served.one.address, 30060)?.hasPrefix("node") == true)
                #expect(try greeting(from: pin, served.two.address, 30060)?.hasPrefix("node") == true)
            }
            #expect(try greeting(from: served.one.pin, IPv4("127.0.0.1")!, 30060)?.hasPrefix("node") == true)
        }
    }

    @Test func datagramsFollowTheirEndpoints() async throws {
        try await Served.with { served in
            let address = IPv4("10.96.0.40")!
            try await served.cluster.addService("dns", "\(address)", ["type": "ClusterIP"], port: 53, transport: "UDP")
            let client = try InternetSockets.datagrams(at: InternetEndpoint(IPv4(0), 0), in: served.client.pin)
            let servers = [served.first, served.second].map { pod in
                try? InternetSockets.datagrams(at: InternetEndpoint(IPv4(0), 8080), in: pod.pin)
            }
            /// Which of the two servers a datagram reaches, on the same socket each time.
            func reached() throws -> Int? {
                InternetSockets.send([1], to: InternetEndpoint(address, 53), from: client)
                for (index, server) in servers.enumerated() {
                    guard let server else { continue }
                    waitReadable(server, milliseconds: 30)
                    if InternetSockets.receive(server, limitBytes: 10) != nil { return index }
                }
                return nil
            }
            #expect(try reached() == nil)
            try await served.cluster.setEndpoints("dns", [(served.first.address, served.one)], transport: "UDP")
            #expect(try await eventually { try reached() == 0 })
            try await served.cluster.setEndpoints("dns", [(served.second.address, served.two)], transport: "UDP")
            #expect(try await eventually { try reached() == 1 })
        }
    }
}
