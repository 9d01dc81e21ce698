// gzip there and back, its limits, and that text really shrinks.
import Compression
import Testing

@Suite struct GzipTests {
    @Test(arguments: [0, 1, 100, 70_000])
    func comesBackAsItWas(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 &+ $0 / 7) }
        #expect(Gzip.expand(Gzip.compress(bytes), limitBytes: 100_000) == bytes)
    }

    @Test func textShrinks() {
        let text = Array(String(repeating: "const terminal = document.querySelector(\"lectern-terminal\");\n", count: 200).utf8)
        #expect(Gzip.compress(text).count < text.count / 20)
    }

    @Test func refusesWhatIsTooLargeOrNoGzip() {
        #expect(Gzip.expand(Gzip.compress([UInt8](repeating: 7, count: 1000)), limitBytes: 999) == nil)
        #expect(Gzip.expand([1, 2, 3], limitBytes: 10) == nil)
        #expect(Gzip.expand(Array(Gzip.compress([1, 2, 3]).dropLast()), limitBytes: 10) == nil)
    }
}
