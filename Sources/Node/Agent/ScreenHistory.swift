// The screen as it was where the ring begins: bytes that leave the ring go into a model, if they can still be seen.
//
// The ring always begins between two sequences, two characters, and where possible two lines, so that a snapshot and
// the ring's bytes behind it fit together. A long run of plain text is not fed as a whole: of a text without any control
// but CR, LF and TAB only the last lines can remain on the screen, and the model is slower than a PTY
// (docs/decisions/terminal-history.md).
package import Kernel
internal import Screen

package struct ScreenHistory {
    /// Bytes that leave the ring at once.
    private static let stepBytes: UInt64 = 64 << 10
    /// How far beyond a step a better place to cut is looked for.
    private static let searchBytes: UInt64 = 4 << 10
    /// Sizes that are remembered until the bytes drawn in them leave the ring; older ones merge.
    private static let sizesLimit = 64

    private var model: ScreenModel?
    private var scanner = EscapeScanner()
    package private(set) var size: (columns: Int, rows: Int)
    private var first: (columns: Int, rows: Int)
    /// From which offset on which size held, behind `first`.
    private var sizes: [(offset: UInt64, columns: Int, rows: Int)] = []

    package init(columns: Int, rows: Int) {
        size = (columns, rows)
        first = size
    }

    package mutating func resize(columns: Int, rows: Int, at offset: UInt64) {
        size = (columns, rows)
        if sizes.last?.offset == offset { sizes.removeLast() }
        sizes.append((offset, columns, rows))
        if sizes.count > Self.sizesLimit { sizes.removeFirst() }
    }

    /// Lets bytes leave the ring until `count` are free.
    package mutating func makeRoom(_ count: Int, in ring: PTYRing) {
        while ring.free < count {
            let least = UInt64(count - ring.free)
            let target = min(ring.end, ring.start + max(least, Self.stepBytes))
            advance(to: target, in: ring)
        }
    }

    private mutating func advance(to target: UInt64, in ring: PTYRing) {
        let model = self.model ?? ScreenModel(columns: first.columns, rows: first.rows)
        self.model = model
        var position = ring.start
        // Up to each change of size, then on.
        while let change = sizes.first, change.offset <= target {
            if change.offset > position {
                feed(position..<change.offset, to: model, from: ring)
                position = change.offset
            }
            model.resize(columns: change.columns, rows: change.rows)
            sizes.removeFirst()
        }
        if target > position { feed(position..<target, to: model, from: ring) }
        ring.discard(before: finish(target, model, ring))
    }

    private mutating func feed(_ range: Range<UInt64>, to model: ScreenModel, from ring: PTYRing) {
        if scanner.isAtGround, let tail = ring.startOfPlainTail(of: range, lines: model.rows + 2) {
            model.feed(ring.bytes(tail..<range.upperBound))
            return
        }
        let bytes = ring.bytes(range)
        _ = scanner.scan(bytes)
        model.feed(bytes)
    }

    /// Goes on from `offset` to a place where the ring may begin.
    private mutating func finish(_ offset: UInt64, _ model: ScreenModel, _ ring: PTYRing) -> UInt64 {
        var end = min(ring.end, offset + Self.searchBytes)
        if let change = sizes.first { end = min(end, change.offset) }
        var position = offset
        var usable: UInt64?
        var probe = scanner
        while position <= end {
            let cutsCharacter = position < ring.end && ring[position] & 0xC0 == 0x80
            if probe.isAtGround, !cutsCharacter {
                if usable == nil { usable = position }
                if position > ring.start, ring[position - 1] == 0x0A {
                    usable = position
                    break
                }
            }
            guard position < end else { break }
            _ = probe.scan([ring[position]])
            position += 1
        }
        guard let usable else {
            // A sequence without end: cancel it here, as a terminal would when it gives up.
            model.feed([0x18])
            scanner = EscapeScanner()
            return offset
        }
        if usable > offset {
            let bytes = ring.bytes(offset..<usable)
            _ = scanner.scan(bytes)
            model.feed(bytes)
        }
        return usable
    }

    /// The bytes that paint the screen as it was at the ring's start.
    package func snapshot() -> [UInt8] {
        (model ?? ScreenModel(columns: first.columns, rows: first.rows)).snapshot(limitBytes: AgentLimits.snapshotBytes)
    }
}
