// One operation of the HTTP API: method, path, who may call it, what it documents and what it does.
internal import Essentials
internal import Web

/// Who may call an operation.
package enum Access: String, Sendable {
    /// Everyone; no session is looked up.
    case anyone
    /// Everyone with a session; a learner's is made on the first page view.
    case visitor
    /// Instructors and admins.
    case staff
    /// Admins.
    case admin
}

struct Route: Sendable {
    let method: String
    /// Segments; `{name}` binds one segment.
    let pattern: String
    let access: Access
    let summary: String
    /// Schemas for the OpenAPI document: body of the request, and of the answer by status.
    let body: JSON?
    let answers: [(status: Int, text: String, schema: JSON?)]
    let run: @Sendable (Call) async throws -> HTTPResponse

    init(
        _ method: String, _ pattern: String, _ access: Access, _ summary: String, body: JSON? = nil,
        answers: [(status: Int, text: String, schema: JSON?)], run: @escaping @Sendable (Call) async throws -> HTTPResponse
    ) {
        self.method = method
        self.pattern = pattern
        self.access = access
        self.summary = summary
        self.body = body
        self.answers = answers
        self.run = run
        segments = pattern.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
    }

    private let segments: [String]

    /// The bound parameters, where `path` (already split and decoded) fits the pattern.
    func match(_ path: [String]) -> [String: String]? {
        guard path.count == segments.count else { return nil }
        var parameters: [String: String] = [:]
        for (pattern, segment) in zip(segments, path) {
            if pattern.hasPrefix("{") {
                parameters[String(pattern.dropFirst().dropLast())] = segment
            } else if pattern != segment {
                return nil
            }
        }
        return parameters
    }
}

/// Splits and percent-decodes a raw path; `nil` where a segment is not valid or tries to climb.
package func pathSegments(_ rawPath: String) -> [String]? {
    guard rawPath.utf8.count <= 2048, rawPath.hasPrefix("/") else { return nil }
    var result: [String] = []
    for raw in rawPath.split(separator: "/", omittingEmptySubsequences: true) {
        guard let segment = strictlyDecoded(raw), segment != ".", segment != "..",
            !segment.unicodeScalars.contains(where: { $0.value < 0x20 || $0 == "/" || $0 == "\\" || $0.value == 0x7F })
        else { return nil }
        result.append(segment)
    }
    return result
}

/// Decodes `%41`; `nil` for a broken escape or bytes that are not UTF-8.
private func strictlyDecoded(_ text: some StringProtocol) -> String? {
    guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
    var bytes: [UInt8] = []
    var iterator = text.utf8.makeIterator()
    while let byte = iterator.next() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        guard let high = iterator.next(), let low = iterator.next(),
            let first = Character(Unicode.Scalar(high)).hexDigitValue, let second = Character(Unicode.Scalar(low)).hexDigitValue
        else { return nil }
        bytes.append(UInt8(first << 4 | second))
    }
    return String(validating: bytes, as: UTF8.self)
}
