// Moves bytes from socket to socket inside the kernel, with splice(2) over a pipe.
internal import CLibwebsockets
internal import Glibc

/// A pipe that bulk data of one direction flows through. Pipes are kept for the next user, as making one costs two calls
/// and a page.
@WebLoop
final class KernelPipe {
    /// Bytes a pipe holds at most.
    private static let sizeBytes = 1 << 20
    private static let keptPipes = 16
    private static var kept: [KernelPipe] = []

    private let input: Int32
    private let output: Int32
    /// Bytes inside.
    private(set) var bytes = 0

    static func take() -> KernelPipe? { kept.popLast() ?? KernelPipe() }

    private init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_NONBLOCK | O_CLOEXEC) == 0 else { return nil }
        output = ends[0]
        input = ends[1]
        // Denied beyond the user's pipe budget: then it stays at 64 KiB.
        _ = set_pipe_size(input, Int32(Self.sizeBytes))
    }

    deinit {
        close(input)
        close(output)
    }

    func giveBack() { if bytes == 0, Self.kept.count < Self.keptPipes { Self.kept.append(self) } }

    func fill(from descriptor: Int32) -> StreamResult { move(descriptor, input, Self.sizeBytes, sign: 1) }
    func empty(into descriptor: Int32) -> StreamResult { move(output, descriptor, bytes, sign: -1) }

    private func move(_ from: Int32, _ to: Int32, _ limit: Int, sign: Int) -> StreamResult {
        while true {
            let count = splice_bytes(from, to, limit)
            if count > 0 {
                bytes += sign * count
                return .bytes(count)
            }
            if count == 0 { return .ended }
            if errno == EINTR { continue }
            return errno == EAGAIN || errno == ENOTCONN ? .blocked : .failed(errnoText("splice"))
        }
    }
}
