// Cuts what an agent sends into its answer and its frames, however the bytes arrive; an agent may be hostile.
package import Essentials

package struct AgentStream: Sendable {
    package enum Part: Equatable, Sendable {
        /// The line that comes first.
        case answer(JSON)
        /// A frame without its length.
        case frame([UInt8])
    }

    private var held: [UInt8] = []
    private var isAnswered = false
    private let frameLimitBytes: Int

    package init(frameLimitBytes: Int) { self.frameLimitBytes = frameLimitBytes }

    /// Bytes that wait for the rest of their frame.
    package var heldBytes: Int { held.count }

    /// The parts that are complete with these bytes.
    package mutating func take(_ bytes: [UInt8]) throws(TerminalProblem) -> [Part] {
        if held.isEmpty { held = bytes } else { held += bytes }
        var parts: [Part] = []
        var index = 0
        if !isAnswered {
            guard let end = held.firstIndex(of: 0x0A) else {
                guard held.count <= TerminalLimits.answerBytes else { throw .agentMisbehaved("the answer is too long") }
                return []
            }
            guard end <= TerminalLimits.answerBytes, let answer = try? JSON(parsing: Array(held[..<end])), answer["ok"]?.bool != nil else {
                throw .agentMisbehaved("the answer is not understood")
            }
            isAnswered = true
            parts.append(.answer(answer))
            index = end + 1
        }
        while held.count - index >= 4 {
            let length = Int(held[index..<index + 4].bigEndian)
            guard length >= 1, length <= frameLimitBytes else { throw .agentMisbehaved("a frame of \(length) bytes") }
            guard held.count - index - 4 >= length else { break }
            parts.append(.frame(Array(held[index + 4..<index + 4 + length])))
            index += 4 + length
        }
        held = index == held.count ? [] : Array(held[index...])
        return parts
    }
}
