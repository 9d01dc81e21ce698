// Pods on real links: attaching, reaching one another, taking off.
import ClusterClient
import ClusterModel
import Essentials
import Kernel
import PodNetwork
import Testing

extension LabNetworkLiveTests {
    @Test func podsOfOneNodeReachEachOtherAndTheirNode() async throws {
        try await FakeNodes.with { fakes in
            let first = try fakes.addPod("a", on: fakes.nodes[0])
            let second = try fakes.addPod("b", on: fakes.nodes[0])
            #expect(first.address == IPv4("10.32.11.2")!)
            #expect(second.address == IPv4("10.32.11.3")!)
            #expect(try answers(first.pin, second.address, in: second.pin))
            #expect(try answers(first.pin, first.address, in: first.pin))
            #expect(try answers(first.pin, fakes.nodes[0].address, in: fakes.nodes[0].pin))
            #expect(try answers(fakes.nodes[0].pin, second.address, in: second.pin))
            try fakes.cni("CHECK", "a", pin: first.pin, on: fakes.nodes[0])
            try fakes.cni("DEL", "a", pin: "", on: fakes.nodes[0])
            try fakes.cni("DEL", "a", pin: "", on: fakes.nodes[0])
            #expect(try NetworkStack(in: fakes.nodes[0].pin).routes().contains { $0.destination == IPv4Block("10.32.11.2/32")! } == false)
        }
    }
}

extension LabNetworkLiveTests {
    static func daemon(_ fakes: FakeNodes, _ node: FakeNode, _ cluster: Cluster, _ persona: NetworkPersona = .weave) -> NetworkDaemon {
        var options = NetworkDaemonOptions(persona: persona, nodeName: node.name, range: IPv4Block("10.32.0.0/12")!)
        options.networkNamespace = node.pin
        let root = "\(fakes.directory)/root-\(node.name)"
        options.installation = CNIInstallation(programs: root + "/opt/cni/bin", configurations: root + "/etc/cni/net.d")
        return NetworkDaemon(client: cluster.client, options: options)
    }

    @Test func podsOfTwoNodesReachEachOtherWithTheirOwnAddresses() async throws {
        try await FakeNodes.with { fakes in
            let cluster = try await Cluster()
            for node in fakes.nodes { try await cluster.add(node) }
            let daemons = fakes.nodes.map { Self.daemon(fakes, $0, cluster) }
            let first = try fakes.addPod("a", on: fakes.nodes[0])
            let second = try fakes.addPod("b", on: fakes.nodes[1])
            try await beside(daemons.map { daemon in { try await daemon.run() } }) {
                #expect(try await eventually { daemons.allSatisfy(\.isReady) })
                let greeter = try Greeter("hello", port: 7777, in: second.pin)
                defer { greeter.stop() }
                #expect(try greeting(from: first.pin, second.address, 7777) == "hello \(first.address)")
                #expect(try greeting(from: fakes.nodes[0].pin, second.address, 7777) == "hello \(fakes.nodes[0].address)")
                // Whom the cluster's network does not know sees the node.
                let outside = try Greeter("out", port: 7778, in: fakes.nodes[1].pin)
                defer { outside.stop() }
                #expect(try greeting(from: first.pin, fakes.nodes[1].address, 7778) == "out \(fakes.nodes[0].address)")
                let root = "\(fakes.directory)/root-node1"
                #expect(LinuxKernel().linkTarget(root + "/opt/cni/bin/weave-net") == CNIInstallation.program)
                #expect(try LinuxKernel().readText(root + "/etc/cni/net.d/10-weave.conflist").contains("10.32.11.0/24"))
                let node = try await cluster.client.get(.nodes, name: "node1")
                #expect(node["status"]?["conditions"]?[0]?["reason"]?.string == "WeaveIsUp")

                try await cluster.client.delete(.nodes, name: "node2")
                #expect(
                    try await eventually {
                        try NetworkStack(in: fakes.nodes[0].pin).routes().allSatisfy { $0.origin != NodePlan.origin }
                    })
            }
        }
    }

    @Test func nodesThatAreNotOnOneWireUseTheTunnel() async throws {
        try await FakeNodes.with { fakes in
            // As if each node had a wire of its own: only the plan's notion of the wire changes.
            for node in fakes.nodes {
                let stack = NetworkStack(in: node.pin)
                let link = try #require(try stack.link("eth0"))
                try stack.add(NetworkAddress(link: link.index, address: node.address, prefixLength: 32))
                try stack.remove(NetworkAddress(link: link.index, address: node.address, prefixLength: 24))
                try stack.replace(NetworkRoute(to: IPv4Block("172.30.0.0/24")!, link: link.index))
            }
            let cluster = try await Cluster()
            for node in fakes.nodes { try await cluster.add(node) }
            let daemons = fakes.nodes.map { Self.daemon(fakes, $0, cluster, .lectern) }
            let first = try fakes.addPod("a", on: fakes.nodes[0], plugin: "lectern-cni")
            let second = try fakes.addPod("b", on: fakes.nodes[1], plugin: "lectern-cni")
            try await beside(daemons.map { daemon in { try await daemon.run() } }) {
                #expect(try await eventually { daemons.allSatisfy(\.isReady) })
                #expect(try await eventually { try NetworkStack(in: fakes.nodes[1].pin).link(NodePlan.tunnel) != nil })
                let greeter = try Greeter("hello", port: 7777, in: second.pin)
                defer { greeter.stop() }
                #expect(try greeting(from: first.pin, second.address, 7777) == "hello \(first.address)")
            }
        }
    }

    @Test func policiesHoldAndConnectionsThatAreMadeGoOn() async throws {
        try await FakeNodes.with { fakes in
            let cluster = try await Cluster()
            for node in fakes.nodes { try await cluster.add(node) }
            let daemons = fakes.nodes.map { Self.daemon(fakes, $0, cluster) }
            let policies = fakes.nodes.map { PolicyDaemon(client: cluster.client, nodeName: $0.name, networkNamespace: $0.pin) }
            let web = try fakes.addPod("web", on: fakes.nodes[0])
            let friend = try fakes.addPod("friend", on: fakes.nodes[1])
            let stranger = try fakes.addPod("stranger", on: fakes.nodes[0])
            try await cluster.addPod("web", web.address, on: fakes.nodes[0], labels: ["app": "web"])
            try await cluster.addPod("friend", friend.address, on: fakes.nodes[1], labels: ["app": "friend"])
            try await cluster.addPod("stranger", stranger.address, on: fakes.nodes[0])
            var works: [@Sendable () async throws -> Void] = []
            for daemon in daemons { works.append { try await daemon.run() } }
            for policy in policies { works.append { try await policy.run() } }
            try await beside(works) {
                #expect(try await eventually { daemons.allSatisfy(\.isReady) })
                let greeters = [try Greeter("web", port: 8080, in: web.pin), try Greeter("web", port: 8081, in: web.pin)]
                defer { for greeter in greeters { greeter.stop() } }
                #expect(try greeting(from: stranger.pin, web.address, 8080)?.hasPrefix("web") == true)
                let open = try LinuxKernel().connect(inNetworkNamespace: stranger.pin, address: "\(web.address)", port: 8080)
                waitReadable(open, milliseconds: 1000)

                try await cluster.addPolicy(
                    "web",
                    [
                        "podSelector": ["matchLabels": ["app": "web"]],
                        "ingress": [
                            [
                                "from": [["podSelector": ["matchLabels": ["app": "friend"]]]],
                                "ports": [["port": "web"], ["port": 9000, "endPort": 9010]],
                            ]
                        ],
                    ])
                #expect(try await eventually { try greeting(from: stranger.pin, web.address, 8080, milliseconds: 100) == nil })
                #expect(try greeting(from: friend.pin, web.address, 8080)?.hasPrefix("web") == true)
                #expect(try greeting(from: friend.pin, web.address, 8081, milliseconds: 300) == nil)
                #expect(try greeting(from: fakes.nodes[0].pin, web.address, 8081)?.hasPrefix("web") == true, "its own node may")
                #expect(try LinuxKernel().receive(from: open, limitBytes: 100)?.isEmpty == false)
                greeters[0].say("more")
                waitReadable(open, milliseconds: 1000)
                #expect(try LinuxKernel().receive(from: open, limitBytes: 100) == Array("more".utf8), "still open")

                try await cluster.addPolicy("quiet", ["podSelector": ["matchLabels": ["app": "friend"]], "policyTypes": ["Egress"]])
                #expect(try await eventually { try greeting(from: friend.pin, web.address, 8080, milliseconds: 100) == nil })
                try await cluster.client.delete(.networkPolicies, namespace: "default", name: "quiet")
                try await cluster.client.delete(.networkPolicies, namespace: "default", name: "web")
                #expect(try await eventually { try greeting(from: friend.pin, web.address, 8081, milliseconds: 300) != nil })
                #expect(try await eventually { try greeting(from: stranger.pin, web.address, 8081, milliseconds: 300) != nil })
            }
        }
    }
}

extension LabNetworkLiveTests {
    @Test func portsOfTheNodeLeadToPods() async throws {
        try await FakeNodes.with { fakes in
            let (one, two) = (fakes.nodes[0], fakes.nodes[1])
            try NetworkStack(in: one.pin).configure([("net/ipv4/conf/all/route_localnet", "1")])
            let pod = try fakes.addPod("web", on: one)
            let other = try fakes.addPod("other", on: one)
            let greeter = try Greeter("web", port: 8080, in: pod.pin)
            defer { greeter.stop() }
            let settings: JSON = [
                "dataDir": JSON(fakes.directory + "/portmap"),
                "runtimeConfig": ["portMappings": [["hostPort": 8088, "containerPort": 8080, "protocol": "tcp"]]],
                "prevResult": ["cniVersion": "1.0.0", "ips": [["address": JSON("\(pod.address)/24")]]],
            ]
            let result = try fakes.cni("ADD", "web", pin: pod.pin, on: one, plugin: "portmap", more: settings)
            #expect(result == settings["prevResult"], "what came before is handed on")
            #expect(try greeting(from: two.pin, one.address, 8088) == "web \(two.address)")
            for pin in [one.pin, other.pin, pod.pin] { #expect(try greeting(from: pin, one.address, 8088)?.hasPrefix("web") == true) }
            #expect(try greeting(from: one.pin, IPv4("127.0.0.1")!, 8088)?.hasPrefix("web") == true)
            for _ in 0..<2 { try fakes.cni("DEL", "web", pin: "", on: one, plugin: "portmap", more: settings) }
            #expect(try greeting(from: two.pin, one.address, 8088) == "")
            #expect(!PacketFilter(table: "cni_hostport", in: one.pin).isThere())
        }
    }
}

extension LabNetworkLiveTests {
    @Test func addressesOfPodsThatVanishedAreGivenAgain() async throws {
        try await FakeNodes.with { fakes in
            let node = fakes.nodes[0]
            let small: JSON = ["ipam": ["subnet": "10.32.11.0/29", "dataDir": JSON(fakes.directory + "/networks")]]
            let pin = fakes.directory + "/pod-z"
            try fakes.kernel.makeNetworkNamespace(pin: pin, userNamespace: nil)
            let pool = AddressPool(network: "test-node1", dataDirectory: fakes.directory + "/networks")
            let range = try #require(AddressPool.Range(subnet: IPv4Block("10.32.11.0/29")!))
            for number in 0..<5 { _ = try pool.reserve("gone\(number)", interface: "eth0", from: range) }
            let result = try fakes.cni("ADD", "z", pin: pin, on: node, more: small)
            #expect(result["ips"]?[0]?["address"]?.string == "10.32.11.2/29")
            try fakes.cni("DEL", "z", pin: "", on: node, more: small)
            #expect(try pool.owners().isEmpty)
        }
    }
}
