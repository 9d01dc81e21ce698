// RFC 3339 in both directions, and identifiers.
import Essentials
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", Int64(0)), ("2000-02-29T12:00:00Z", 951_825_600), ("2026-11-24T23:20:05Z", 1_795_562_405),
        ("1969-12-31T23:59:59Z", -1), ("2100-03-01T00:00:00Z", 4_107_542_400),
    ])
    func textAndSecondsAgree(text: String, seconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.seconds == seconds)
        #expect(Timestamp(seconds: seconds).rfc3339 == text)
    }

    @Test func offsetsAndFractionsAreRead() {
        #expect(Timestamp(rfc3339: "2026-11-24T23:20:05.5+02:00") == Timestamp(seconds: 1_795_555_205, nanoseconds: 500_000_000))
    }

    @Test(arguments: ["", "2026-11-24", "2026-13-24T23:20:05Z", "2026-11-24T23:20:05", "2026-11-24T23:20:05.Z"])
    func otherTextIsRefused(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func identifiersAreValidDNSLabelsAndRepeatForASeed() {
        var first = SeededRandom(seed: 7)
        var second = SeededRandom(seed: 7)
        let name = Identifier.short(using: &first)
        #expect(name == Identifier.short(using: &second))
        #expect(name.count == 8 && name.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber) } && name.first!.isLetter)
        #expect(Identifier.uuid(using: &first).split(separator: "-").map(\.count) == [8, 4, 4, 4, 12])
    }
}
