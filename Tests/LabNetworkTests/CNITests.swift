// The CNI contract: what is refused and how, results in every version, addresses that are given and taken back.
import Essentials
import Kernel
import Testing

@testable import PodNetwork

@Suite struct CNITests {
    static let environment = ["CNI_COMMAND": "ADD", "CNI_CONTAINERID": "abc", "CNI_NETNS": "/nowhere", "CNI_IFNAME": "eth0"]

    static func configuration(_ version: String = "1.0.0", _ more: JSON = .emptyObject) -> JSON {
        var configuration: JSON = ["cniVersion": JSON(version), "name": "net", "type": "bridge", "ipam": ["subnet": "10.32.11.0/24"]]
        for (key, value) in more.members { configuration[key] = value }
        return configuration
    }

    func run(_ environment: [String: String], _ configuration: JSON, name: String = "bridge") throws -> (JSON, Int32) {
        let (text, status) = CNIPlugin(name: name).run(environment: environment, input: Array(configuration.text.utf8))
        return (text.isEmpty ? .null : try JSON(parsing: Array(text.utf8)), status)
    }

    @Test func versionsAreListed() throws {
        let (answer, status) = try run(["CNI_COMMAND": "VERSION"], ["cniVersion": "1.1.0"])
        #expect(status == 0)
        #expect(
            answer["supportedVersions"]?.array?.contains("1.1.0") == true && answer["supportedVersions"]?.array?.contains("0.3.1") == true)
    }

    @Test func errorsHaveTheSpecificationsForm() throws {
        var (answer, status) = try run(Self.environment, Self.configuration("7.0.0"))
        #expect(status == 1 && answer["code"]?.int == 1 && answer["msg"]?.string == "incompatible CNI versions")
        (answer, status) = try run(["CNI_COMMAND": "ADD"], Self.configuration())
        #expect(
            answer["code"]?.int == 4
                && answer["msg"]?.string == "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_NETNS] missing")
        #expect(answer["cniVersion"]?.string == "1.0.0")
        (answer, status) = try run(Self.environment, Self.configuration("1.0.0", ["ipam": ["subnet": "10.0.0.0/31"]]))
        #expect(answer["code"]?.int == 7)
        (answer, status) = try run(Self.environment, Self.configuration("1.0.0", ["name": "../../etc"]))
        #expect(answer["code"]?.int == 7)
        (answer, status) = try run(
            ["CNI_COMMAND": "ADD", "CNI_CONTAINERID": "../x", "CNI_NETNS": "/n", "CNI_IFNAME": "eth0"], Self.configuration())
        #expect(answer["code"]?.int == 4)
        let (text, code) = CNIPlugin(name: "bridge").run(environment: Self.environment, input: Array("{".utf8))
        #expect(code == 1 && text.contains("\"code\":6"))
    }

    @Test func resultsReadInEveryVersion() throws {
        let result = CNIResult(
            interfaces: [
                .init(name: "cni0", hardware: "0a:58:0a:20:0b:01", sandbox: nil),
                .init(name: "eth0", hardware: "0a:58:0a:20:0b:05", sandbox: "/ns"),
            ], address: IPv4("10.32.11.5")!, prefixLength: 24, gateway: IPv4("10.32.11.1")!,
            routes: [(IPv4Block("0.0.0.0/0")!, IPv4("10.32.11.1")!)])
        let new = result.document(version: "1.0.0")
        #expect(
            new["ips"]?[0]?["address"]?.string == "10.32.11.5/24" && new["ips"]?[0]?["interface"]?.int == 1
                && new["ips"]?[0]?["version"] == nil)
        #expect(result.document(version: "0.4.0")["ips"]?[0]?["version"]?.string == "4")
        #expect(result.document(version: "0.2.0")["ip4"]?["ip"]?.string == "10.32.11.5/24")
    }

    @Test func everyPluginNameFindsItsNetwork() throws {
        func plan(_ plugin: String, _ configuration: JSON, flannel: String? = nil) throws -> PodAttachment {
            let request = try CNIRequest(environment: Self.environment, input: Array(configuration.text.utf8))
            return try PodAttachment(plugin: plugin, request) { flannel }
        }
        let weave = try plan(
            "weave-net",
            CNIInstallation.list(name: "weave", plugin: "weave-net", subnet: IPv4Block("10.32.12.0/24")!)["plugins"]![0]!.named())
        #expect(weave.bridge == "weave" && weave.range.gateway == IPv4("10.32.12.1")! && weave.routes.count == 1)
        let flannel = try plan(
            "flannel",
            ["cniVersion": "0.3.1", "name": "cbr0", "type": "flannel", "delegate": ["hairpinMode": true, "isDefaultGateway": true]],
            flannel: CNIInstallation.flannelEnvironment(
                network: IPv4Block("10.244.0.0/16")!, subnet: IPv4Block("10.244.1.0/24")!, mtu: 1450, masquerades: true))
        #expect(flannel.bridge == "cni0" && flannel.mtu == 1450 && flannel.subnet == IPv4Block("10.244.1.0/24")!)
        #expect(flannel.routes.map(\.destination) == [IPv4Block("10.244.0.0/16")!, IPv4Block("0.0.0.0/0")!])
        #expect(throws: CNIError.self) { try plan("flannel", ["cniVersion": "0.3.1", "name": "cbr0", "type": "flannel"]) }
        let bridge = try plan(
            "bridge",
            Self.configuration(
                "0.4.0",
                [
                    "bridge": "br7", "ipMasq": true,
                    "ipam": [
                        "ranges": [
                            [["subnet": "10.1.0.0/16", "rangeStart": "10.1.3.10", "rangeEnd": "10.1.3.20", "gateway": "10.1.0.254"]]
                        ],
                        "routes": [["dst": "0.0.0.0/0"], ["dst": "::/0"]],
                    ],
                ]))
        #expect(bridge.bridge == "br7" && bridge.masquerades && bridge.range.first == IPv4("10.1.3.10")! && bridge.routes.count == 1)
    }

    @Test func addressesAreGivenOnceAndTakenBack() throws {
        let directory = "/tmp/lectern-pool-\(Identifier.short())"
        defer { try? LinuxKernel().removeTree(directory) }
        let pool = AddressPool(network: "net", dataDirectory: directory)
        let range = try #require(AddressPool.Range(subnet: IPv4Block("10.0.0.0/29")!))
        let given = try (0..<5).map { try pool.reserve("c\($0)", interface: "eth0", from: range) }
        #expect(given == (2...6).map { IPv4("10.0.0.\($0)")! })
        #expect(try pool.reserve("late", interface: "eth0", from: range) == nil)
        #expect(try pool.reserve("c1", interface: "eth0", from: range) == IPv4("10.0.0.3")!, "asking again changes nothing")
        try pool.release("c1", interface: "eth0")
        try pool.release("c1", interface: "eth0")
        try pool.release("c0", interface: "eth0")
        // The longest free one first: an address just given back may still be in somebody's memory.
        #expect(try pool.reserve("d", interface: "eth0", from: range) == IPv4("10.0.0.2")!)
        #expect(try pool.reserve("e", interface: "eth0", from: range) == IPv4("10.0.0.3")!)
        try pool.release(allBut: [["e", "eth0"]])
        #expect(try LinuxKernel().list(directory + "/net").compactMap { IPv4($0) } == [IPv4("10.0.0.3")!])
        // What a crash left half-made is nobody's address.
        try LinuxKernel().write(directory + "/net/10.0.0.4.99.new", text: "x")
        #expect(try pool.reserve("f", interface: "eth0", from: range) == IPv4("10.0.0.4")!)
    }

    @Test func hostPortsAreOneTable() {
        let table = PortMap.table([
            "6 0.0.0.0 8080 10.32.11.5 80", "17 172.30.0.11 53 10.32.11.6 5353", "6 0.0.0.0 8080 10.32.11.9 81", "rubbish",
        ])
        #expect(table.sets["hostport"]?.elements.map(\.value) == [.fields([10, 32, 11, 5, 0, 80, 0, 0])], "the first has the port")
        #expect(table.sets["hostip_hostport"]?.elements.count == 1)
    }
}

extension JSON {
    /// As a runtime hands one plugin of a list on: with the list's version and name.
    fileprivate func named() -> JSON {
        var copy = self
        copy["cniVersion"] = "1.0.0"
        copy["name"] = "weave"
        return copy
    }
}
