// Figures, not tests: `LECTERN_BENCH=1` prints them. Throughput through a ClusterIP beside the same pods spoken to directly.
import ClusterClient
import ClusterModel
import Essentials
import Glibc
import Kernel
import ServiceProxy
import Synchronization
import Testing

extension LabNetworkLiveTests {
    @Test(.enabled(if: getenv("LECTERN_BENCH") != nil, "prints figures only"))
    func throughputByAddressAndByService() async throws {
        try await Served.with { served in
            try await served.cluster.addService("bulk", "10.96.0.50", port: 9000)
            try await served.cluster.setEndpoints("bulk", [(served.second.address, served.two)])
            #expect(
                try await eventually {
                    try greeting(from: served.first.pin, IPv4("10.96.0.50")!, 9000, milliseconds: 200)?.isEmpty == false
                })
            let sink = try InternetSockets.listener(at: InternetEndpoint(IPv4(0), 9001), in: served.second.pin)
            try await served.cluster.addService("sink", "10.96.0.51", port: 9001)
            let slice = try await served.cluster.client.get(.endpointSlices, namespace: "default", name: "sink-1")
            var changed = slice
            changed["ports"] = [["port": 9001, "protocol": "TCP"]]
            changed["endpoints"] = [
                ["addresses": [.string("\(served.second.address)")], "conditions": ["ready": true], "nodeName": .string(served.two.name)]
            ]
            _ = try await served.cluster.client.update(.endpointSlices, changed)
            try await Task.sleep(for: .milliseconds(100))
            var rates: [String: [Double]] = [:]
            for round in 0..<8 {
                let isDirect = round % 2 == 0
                let address = isDirect ? served.second.address : IPv4("10.96.0.51")!
                rates[isDirect ? "direct" : "service", default: []].append(
                    try Self.rate(from: served.first.pin, to: address, 9001, sink: sink))
            }
            let direct = rates["direct"]!.max()!
            let service = rates["service"]!.max()!
            print("FIGURE direct \(Int(direct)) MB/s, ClusterIP \(Int(service)) MB/s, ratio \(service / direct)", rates)
        }
    }

    /// MB a second that one connection carries within a second.
    static func rate(from pin: String, to address: IPv4, _ port: UInt16, sink: OwnedDescriptor) throws -> Double {
        let sender = try LinuxKernel().connect(inNetworkNamespace: pin, address: "\(address)", port: port)
        waitReadable(sink, milliseconds: 1000)
        let (receiver, _) = try #require(InternetSockets.accept(sink))
        let isOver = Mutex(false)
        let received = Mutex(0)
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Drain(receiver) { count in received.withLock { $0 += count } })
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Drain>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        let chunk = [UInt8](repeating: 7, count: 256 << 10)
        let start = monotonicSeconds()
        while monotonicSeconds() - start < 1 {
            if InternetSockets.write(chunk[...], to: sender) == 0 {
                var entry = pollfd(fd: sender.number, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, 100)
            }
        }
        let count = received.withLock { $0 }
        let seconds = monotonicSeconds() - start
        isOver.withLock { $0 = true }
        sender.close()
        pthread_join(thread, nil)
        return Double(count) / seconds / 1e6
    }

    final class Drain: Sendable {
        private let descriptor: OwnedDescriptor
        private let note: @Sendable (Int) -> Void
        init(_ descriptor: OwnedDescriptor, _ note: @escaping @Sendable (Int) -> Void) {
            self.descriptor = descriptor
            self.note = note
        }
        func run() {
            while true {
                waitReadable(descriptor, milliseconds: 2000)
                guard let bytes = try? LinuxKernel().receive(from: descriptor, limitBytes: 256 << 10) else { continue }
                if bytes.isEmpty { return }
                note(bytes.count)
            }
        }
    }
}
