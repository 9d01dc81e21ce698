// The frames, as the fixtures that the page's tests read too say them.
import Essentials
import Foundation
import Terminals
import Testing

@Suite struct ProtocolTests {
    private static let fixtures: JSON = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
            path: "Fixtures/terminal-frames.json")
        return try! JSON(parsing: [UInt8](Data(contentsOf: file)))
    }()

    private static func entries(_ list: String) -> [JSON] { fixtures[list]!.array! }

    private static func bytes(_ hex: JSON?) -> [UInt8] {
        let digits = Array(hex!.string!)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
    }

    @Test func framesOfThePage() {
        for entry in Self.entries("toServer") {
            let expected: PageFrame =
                switch entry["type"]!.string! {
                case "input": .input(Self.bytes(entry["bytes"]))
                case "resize": .resize(columns: entry["columns"]!.int!, rows: entry["rows"]!.int!)
                default: .acknowledge(UInt64(entry["offset"]!.integer!))
                }
            #expect(PageFrame(Self.bytes(entry["hex"])) == expected, "\(entry["name"]!)")
            #expect(expected.bytes == Self.bytes(entry["hex"]))
        }
    }

    @Test func framesOfTheServer() {
        for entry in Self.entries("toPage") {
            let expected: TerminalFrame =
                switch entry["type"]!.string! {
                case "output": .output(offset: UInt64(entry["offset"]!.integer!), Self.bytes(entry["bytes"]))
                case "snapshot": .snapshot(offset: UInt64(entry["offset"]!.integer!), Self.bytes(entry["bytes"]))
                default: .event(entry["event"]!)
                }
            #expect(TerminalFrame(Self.bytes(entry["hex"])) == expected, "\(entry["name"]!)")
            #expect(expected.bytes == Self.bytes(entry["hex"]))
        }
    }

    @Test func brokenFramesAreNone() {
        for entry in Self.entries("badToServer") { #expect(PageFrame(Self.bytes(entry["hex"])) == nil, "\(entry["name"]!)") }
        for entry in Self.entries("badToPage") { #expect(TerminalFrame(Self.bytes(entry["hex"])) == nil, "\(entry["name"]!)") }
        #expect(PageFrame([0x00] + [UInt8](repeating: 1, count: TerminalLimits.inputBytes + 1)) == nil)
        #expect(PageFrame([0x01, 0, 0, 0, 24]) == nil)
        #expect(PageFrame([0x01, 0xFF, 0xFF, 0, 24]) == nil)
    }
}
