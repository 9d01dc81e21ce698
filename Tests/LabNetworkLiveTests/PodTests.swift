// Pods on real links: attaching, reaching one another, taking off.
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
            print(
                try run(["/usr/sbin/ip", "-br", "addr"], in: first.pin).output, try run(["/usr/sbin/ip", "route"], in: first.pin).output)
            print(try run(["/usr/sbin/ip", "-br", "addr"], in: fakes.nodes[0].pin).output)
            print(try run(["/usr/sbin/ip", "route"], in: fakes.nodes[0].pin).output)
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
