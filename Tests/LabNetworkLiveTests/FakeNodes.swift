// Two nodes made of network namespaces with a switch between them, and pods on them; all gone after the test.
import ClusterModel
import Essentials
import Glibc
import Kernel
import PodNetwork
import Synchronization
import Testing

/// Live tests run one after the other: each counts what it leaves behind.
@Suite(.serialized, .enabled(if: geteuid() == 0, "needs root")) struct LabNetworkLiveTests {}

struct FakeNode {
    let name: String
    /// The pin of its network namespace.
    let pin: String
    let address: IPv4
    let subnet: IPv4Block
}

final class FakeNodes {
    let directory: String
    let kernel = LinuxKernel()
    let nodes: [FakeNode]
    private let router: String
    private var pods: [(node: FakeNode, container: String, pin: String)] = []

    init() throws {
        directory = "/var/tmp/lectern-net-\(Identifier.short())"
        try kernel.makeDirectories(directory)
        router = directory + "/router"
        try kernel.makeNetworkNamespace(pin: router, userNamespace: nil)
        try kernel.configure(
            links: [
                .addBridge(name: "br0", hardware: HardwareAddress(for: IPv4("172.30.0.1")!)),
                .addAddress(name: "br0", address: IPv4("172.30.0.1")!, prefixLength: 24), .setUp(name: "br0"),
            ], in: router)
        try kernel.configure(sysctls: [("net.bridge.bridge-nf-call-iptables", "0")], in: router, optional: true)
        var nodes: [FakeNode] = []
        for number in 1...2 {
            let pin = directory + "/node\(number)"
            let address = IPv4("172.30.0.1\(number)")!
            try kernel.makeNetworkNamespace(pin: pin, userNamespace: nil)
            let hardware = HardwareAddress(for: address)
            try kernel.configure(
                links: [
                    .addPair(name: "n\(number)", peer: "eth0", peerNamespace: pin, peerHardware: hardware),
                    .attach(name: "n\(number)", toBridge: "br0"), .setUp(name: "n\(number)"),
                ], in: router)
            try kernel.configure(
                links: [
                    .addAddress(name: "eth0", address: address, prefixLength: 24), .setUp(name: "eth0"),
                    .addDefaultRoute(via: IPv4("172.30.0.1")!),
                ], in: pin)
            nodes.append(FakeNode(name: "node\(number)", pin: pin, address: address, subnet: IPv4Block("10.32.1\(number).0/24")!))
        }
        self.nodes = nodes
    }

    /// Attaches a pod as a kubelet does; answers with its namespace's pin and its address.
    func addPod(_ name: String, on node: FakeNode, plugin: String = "weave-net") throws -> (pin: String, address: IPv4) {
        let pin = directory + "/pod-\(name)"
        try kernel.makeNetworkNamespace(pin: pin, userNamespace: nil)
        let result = try cni("ADD", name, pin: pin, on: node, plugin: plugin)
        pods.append((node, name, pin))
        let address = try #require(result["ips"]?[0]?["address"]?.string.flatMap { PodAttachment.addressAndNetwork($0)?.0 })
        return (pin, address)
    }

    @discardableResult
    func cni(
        _ command: String, _ container: String, pin: String, on node: FakeNode, plugin: String = "weave-net", more: JSON = .emptyObject
    ) throws -> JSON {
        var configuration: JSON = [
            "cniVersion": "1.0.0", "name": JSON("test-\(node.name)"), "type": JSON(plugin),
            "ipam": ["subnet": JSON("\(node.subnet)"), "dataDir": JSON(directory + "/networks")],
        ]
        for (key, value) in more.members { configuration[key] = value }
        let (text, status) = CNIPlugin(name: plugin, node: node.pin).run(
            environment: ["CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": pin, "CNI_IFNAME": "eth0"],
            input: Array(configuration.text.utf8))
        try #require(status == 0, "\(text)")
        return text.isEmpty ? .null : try JSON(parsing: Array(text.utf8))
    }

    func close() throws {
        for pod in pods { _ = try? cni("DEL", pod.container, pin: "", on: pod.node) }
        for pin in try kernel.list(directory).map({ directory + "/" + $0 }) where !kernel.isDirectory(pin) {
            try? kernel.unmount(pin)
        }
        try kernel.removeTree(directory)
    }

    static func with(_ body: (FakeNodes) async throws -> Void) async throws {
        // Those stay for good.
        _ = (Greeter.readiness, Readiness.shared)
        let before = try LinuxKernel().list("/proc/self/fd").count
        let fakes = try FakeNodes()
        do { try await body(fakes) } catch {
            try fakes.close()
            throw error
        }
        try fakes.close()
        #expect(!LinuxKernel().exists(fakes.directory))
        #expect(try LinuxKernel().list("/proc/self/fd").count <= before + 2)
    }
}

/// Runs a program inside a namespace; its exit status and what it wrote.
@discardableResult
func run(_ words: [String], in pin: String?) throws -> (status: Int32, output: String) {
    let kernel = LinuxKernel()
    let (output, writer) = try kernel.makePipe()
    let (input, inputWriter) = try kernel.makePipe()
    let process = try kernel.spawn(
        Command(
            path: words[0], arguments: words, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], descriptors: [input, writer, writer],
            networkNamespace: pin))
    writer.close()
    inputWriter.close()
    var text: [UInt8] = []
    while let more = try kernel.receive(from: output, limitBytes: 65536), !more.isEmpty { text += more }
    return (try kernel.wait(process).code, String(decoding: text, as: UTF8.self))
}

/// A server at `address:port` in the namespace `pin` that greets every connection with `greeting`, until it is stopped.
final class Greeter: Sendable {
    let port: UInt16
    private let thread: Readiness
    private let listener: OwnedDescriptor
    private let watch: UInt64
    private let connections: Connections

    /// Those that are open, until the server stops.
    private final class Connections: Sendable {
        let open = Mutex<[OwnedDescriptor]>([])
    }

    init(_ greeting: String, port: UInt16, in pin: String) throws {
        listener = try InternetSockets.listener(at: InternetEndpoint(IPv4(0), port), in: pin)
        self.port = InternetSockets.port(of: listener)
        thread = Greeter.readiness
        let listener = listener
        let connections = Connections()
        self.connections = connections
        watch = try thread.watch(listener) {
            while let (connection, peer) = InternetSockets.accept(listener) {
                _ = InternetSockets.write(Array("\(greeting) \(peer.address)\n".utf8)[...], to: connection)
                connections.open.withLock { $0.append(connection) }
            }
            return .again
        }
    }

    /// Says something on every connection that is open.
    func say(_ text: String) {
        connections.open.withLock { for connection in $0 { _ = InternetSockets.write(Array(text.utf8)[...], to: connection) } }
    }

    func stop() {
        thread.cancel(watch)
        listener.close()
        connections.open.withLock { open in
            for connection in open { connection.close() }
            open = []
        }
    }

    static let readiness = try! Readiness()
}

/// What the server there says first; nil when it cannot be reached within two seconds, "" when it refuses.
func greeting(from pin: String, _ address: IPv4, _ port: UInt16, milliseconds: Int32 = 2000) throws -> String? {
    let connection = try LinuxKernel().connect(inNetworkNamespace: pin, address: "\(address)", port: port)
    waitReadable(connection, milliseconds: milliseconds)
    guard LinuxKernel().isConnected(connection) else { return "" }
    guard let bytes = try? LinuxKernel().receive(from: connection, limitBytes: 100) else { return nil }
    return String(decoding: bytes, as: UTF8.self).trimmingSuffix(while: \.isNewline)
}

extension String {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> String {
        var text = self
        while let last = text.last, predicate(last) { text.removeLast() }
        return text
    }
}

/// Whether a connection from one namespace reaches the address that a pod has.
func answers(_ from: String, _ address: IPv4, in pin: String) throws -> Bool {
    let greeter = try Greeter("hello", port: 7777, in: pin)
    defer { greeter.stop() }
    return try greeting(from: from, address, 7777)?.hasPrefix("hello") == true
}
