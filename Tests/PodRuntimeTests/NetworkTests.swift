// The CNI contract with plugins that are closures.
import Essentials
import Kernel
import PodRuntime
import Synchronization
import Testing

@Suite struct NetworkTests {
    private let chain = NetworkConfiguration(
        name: "net", version: "1.0.0",
        plugins: [["type": "first", "mtu": 1400], ["type": "ports", "capabilities": ["portMappings": true]]])

    private func attachment() -> NetworkAttachment {
        var attachment = NetworkAttachment(
            configuration: chain, sandbox: "s", namespacePath: "/run/netns/cni-u", namespace: "default", pod: "web", uid: "u")
        attachment.hostPorts = [["hostPort": 80, "containerPort": 8080, "protocol": "tcp"]]
        return attachment
    }

    @Test func resultsGoDownTheChainAndUpAgain() async throws {
        let calls = Mutex<[PluginCall]>([])
        var attachment = attachment()
        try await attachment.add(programs: ["/opt/cni/bin"]) { call throws(NetworkProblem) in
            calls.withLock { $0.append(call) }
            let address = call.type == "first" ? "10.1.0.5/24" : "10.1.0.6/24"
            return PluginOutcome(isSuccess: true, output: Array(#"{"ips":[{"address":"fd00::1/64"},{"address":"\#(address)"}]}"#.utf8))
        }
        #expect(attachment.addresses == ["10.1.0.6", "fd00::1"])
        let problems = await attachment.delete(programs: ["/opt/cni/bin"]) { call throws(NetworkProblem) in
            calls.withLock { $0.append(call) }
            return PluginOutcome(isSuccess: call.type == "first", output: Array(#"{"code":9,"msg":"gone","details":"long ago"}"#.utf8))
        }
        #expect(problems == [NetworkProblem(message: "plugin type=\"ports\" failed (delete): gone; long ago")])
        let seen = calls.withLock { $0 }
        #expect(seen.map(\.type) == ["first", "ports", "ports", "first"])
        #expect(seen[0].input == ["type": "first", "mtu": 1400, "name": "net", "cniVersion": "1.0.0"])
        #expect(seen[1].input["prevResult"]?["ips"]?[1]?["address"] == "10.1.0.5/24")
        #expect(seen[1].input["runtimeConfig"] == ["portMappings": [["hostPort": 80, "containerPort": 8080, "protocol": "tcp"]]])
        #expect(seen[2].input["prevResult"]?["ips"]?[1]?["address"] == "10.1.0.6/24")
        #expect(seen[0].environment.contains("CNI_COMMAND=ADD") && seen[3].environment.contains("CNI_COMMAND=DEL"))
        #expect(
            seen[0].environment.contains(
                "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=s;K8S_POD_UID=u"))
    }

    @Test func aPluginThatFailsSaysWhy() async {
        var attachment = attachment()
        await #expect(throws: NetworkProblem(message: "plugin type=\"first\" failed (add): no room")) {
            try await attachment.add(programs: []) { _ throws(NetworkProblem) in
                PluginOutcome(isSuccess: false, output: Array(#"{"code":7,"msg":"no room"}"#.utf8))
            }
        }
        await #expect(throws: NetworkProblem(message: "plugin type=\"first\" failed (add): panic: x")) {
            try await attachment.add(programs: []) { _ throws(NetworkProblem) in
                PluginOutcome(isSuccess: false, output: [], errors: Array("panic: x\n".utf8))
            }
        }
    }

    @Test func theFirstValidFileIsTaken() throws {
        let kernel = ScriptedKernel()
        try kernel.makeDirectory("/net.d")
        #expect(NetworkConfiguration.load("/net.d", kernel: kernel) == nil)
        try kernel.write("/net.d/00-broken.conflist", text: "{")
        try kernel.write("/net.d/01-empty.conflist", text: #"{"name":"x","plugins":[]}"#)
        try kernel.write("/net.d/05-notes.txt", text: #"{"name":"x","type":"y"}"#)
        try kernel.write("/net.d/10-one.conf", text: #"{"cniVersion":"0.3.1","name":"one","type":"bridge"}"#)
        try kernel.write("/net.d/20-two.conflist", text: #"{"name":"two","plugins":[{"type":"bridge"}]}"#)
        let configuration = try #require(NetworkConfiguration.load("/net.d", kernel: kernel))
        #expect(configuration.name == "one" && configuration.version == "0.3.1" && configuration.plugins.count == 1)
        #expect(NetworkConfiguration(json: configuration.json) == configuration)
    }

    @Test func oldResultsAreReadToo() async throws {
        var attachment = attachment()
        attachment.result = ["ip4": ["ip": "10.2.0.1/16"]]
        #expect(attachment.addresses == ["10.2.0.1"])
    }
}
