// A moment by two clocks: the wall's, for what people read, and a steady one, for deadlines that no change of date may move.
package import Essentials

package struct Moment: Sendable, Hashable {
    package var wall: Timestamp
    /// Steady seconds; their zero means nothing.
    package var seconds: Double

    package init(wall: Timestamp, seconds: Double) {
        self.wall = wall
        self.seconds = seconds
    }

    package static func now() -> Moment { Moment(wall: SystemClock().now(), seconds: monotonicSeconds()) }

    /// The moment `seconds` later.
    package func later(_ seconds: Double) -> Moment {
        let whole = seconds.rounded(.down)
        var nanoseconds = Int64(wall.nanoseconds) + Int64((seconds - whole) * 1e9)
        var full = wall.seconds + Int64(whole)
        if nanoseconds >= 1_000_000_000 {
            nanoseconds -= 1_000_000_000
            full += 1
        }
        return Moment(wall: Timestamp(seconds: full, nanoseconds: Int32(nanoseconds)), seconds: self.seconds + seconds)
    }
}
