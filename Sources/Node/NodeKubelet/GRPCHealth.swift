// One question of the gRPC health protocol (grpc.health.v1.Health/Check) over HTTP/2 without TLS, by hand: RFC 9113 frames
// and RFC 7541 literals without compression are all it takes.
internal import Essentials
internal import Kernel
internal import Pods

struct GRPCHealth: Sendable {
    static let answerLimitBytes = 64 << 10

    let readiness: Readiness
    let socket: OwnedDescriptor
    let authority: String
    let service: String

    func ask() async -> ProbeAnswer {
        let kernel = LinuxKernel()
        guard await readiness.wait(for: socket, writable: true), kernel.connectError(socket) == 0 else {
            return .failure("error: failed to connect service \"\(authority)\"")
        }
        guard (try? kernel.send(request, to: socket)) != nil else { return .failure("error: health rpc probe failed") }
        var buffer: [UInt8] = []
        while buffer.count < Self.answerLimitBytes {
            guard await readiness.wait(for: socket), let more = try? kernel.receive(from: socket, limitBytes: 16384), !more.isEmpty else {
                break
            }
            buffer += more
            while let frame = Self.frame(&buffer) {
                switch frame.type {
                case 0 where !frame.payload.isEmpty: return Self.verdict(frame.payload)
                case 4 where frame.flags & 1 == 0: try? kernel.send([0, 0, 0, 4, 1, 0, 0, 0, 0], to: socket)
                case 1 where frame.flags & 1 != 0, 3, 7: return .failure("error: this server does not implement the grpc health protocol")
                default: break
                }
            }
        }
        return .failure("error: health rpc probe failed: connection closed")
    }

    private var request: [UInt8] {
        var bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        bytes += Self.frame(type: 4, flags: 0, stream: 0, [])
        var block: [UInt8] = []
        for (name, value) in [
            (":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"), (":authority", authority),
            ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "kube-probe/1.32"),
        ] {
            block += [0] + Self.text(name) + Self.text(value)
        }
        bytes += Self.frame(type: 1, flags: 4, stream: 1, block)
        let name = Array(service.utf8)
        let message = name.isEmpty ? [] : [0x0A, UInt8(truncatingIfNeeded: min(name.count, 127))] + name.prefix(127)
        return bytes + Self.frame(type: 0, flags: 1, stream: 1, [0, 0, 0, 0, UInt8(message.count)] + message)
    }

    private static func text(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8.prefix(126))
        return [UInt8(bytes.count)] + bytes
    }

    private static func frame(type: UInt8, flags: UInt8, stream: UInt8, _ payload: [UInt8]) -> [UInt8] {
        [UInt8(payload.count >> 16), UInt8(payload.count >> 8 & 255), UInt8(payload.count & 255), type, flags, 0, 0, 0, stream] + payload
    }

    static func frame(_ buffer: inout [UInt8]) -> (type: UInt8, flags: UInt8, payload: [UInt8])? {
        guard buffer.count >= 9 else { return nil }
        let count = Int(buffer[0]) << 16 | Int(buffer[1]) << 8 | Int(buffer[2])
        guard buffer.count >= 9 + count else { return nil }
        defer { buffer.removeFirst(9 + count) }
        return (buffer[3], buffer[4], Array(buffer[9..<(9 + count)]))
    }

    // Five bytes of gRPC, then `status` as field 1.
    static func verdict(_ data: [UInt8]) -> ProbeAnswer {
        let message = data.dropFirst(5)
        var status = 0
        if message.count >= 2, message.first == 0x08 { status = Int(message[message.index(after: message.startIndex)]) }
        let words = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]
        return status == 1
            ? .success : .failure("service unhealthy (responded with \"\(words.indices.contains(status) ? words[status] : "UNKNOWN")\")")
    }
}
