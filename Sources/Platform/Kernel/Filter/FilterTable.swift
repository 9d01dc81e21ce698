// The packet filter (nf_tables, family ip) as values: a table with its chains, sets and maps. Nothing here speaks to the kernel.
//
// A rule is a list of steps that work on registers of four bytes, numbered from 0 to 15. A step that does not match ends its
// rule. `FilterTransaction` turns two tables into the messages that lead from one to the other, all at once or not at all.

/// What a chain, a rule or an element of a verdict map decides.
package enum FilterVerdict: Sendable, Hashable {
    case accept
    case drop
    case `return`
    case jump(String)
    case goto(String)
}

/// Where in the kernel's way of a packet a chain stands.
package enum FilterHook: UInt32, Sendable {
    case prerouting = 0
    case input = 1
    case forward = 2
    case output = 3
    case postrouting = 4
}

/// The type of one field of a set's key or data. A key of several fields has each of them padded to four bytes.
package enum FilterField: Sendable, Hashable {
    case address
    case transport
    case port
    /// In the host's byte order.
    case number
}

/// A value as a register holds it.
package enum FilterValue {
    package static func address(_ address: IPv4) -> [UInt8] { address.bytes }
    /// An IP protocol number, such as 6 for TCP.
    package static func transport(_ number: UInt8) -> [UInt8] { [number, 0, 0, 0] }
    package static func port(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(truncatingIfNeeded: port), 0, 0] }
    package static func number(_ value: UInt32) -> [UInt8] {
        withUnsafeBytes(of: value) { Array($0) }
    }
    /// A link's name, all 16 bytes of it.
    package static func link(_ name: String) -> [UInt8] {
        let bytes = Array(name.utf8.prefix(15))
        return bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
    }
}

package struct FilterElement: Sendable, Hashable {
    package enum Value: Sendable, Hashable {
        case none
        case verdict(FilterVerdict)
        case fields([UInt8])
    }
    package var key: [UInt8]
    /// The first key that is no longer in the interval that the element before it begins.
    package var endsInterval: Bool
    package var value: Value

    package init(_ key: [UInt8], _ value: Value = .none, endsInterval: Bool = false) {
        self.key = key
        self.value = value
        self.endsInterval = endsInterval
    }
}

/// A set, or a map when it has data.
package struct FilterSet: Sendable, Hashable {
    package enum Data: Sendable, Hashable {
        case none
        case verdict
        case fields([FilterField])
    }
    package var key: [FilterField]
    package var data: Data
    package var isInterval: Bool
    /// The kernel's own rules fill it, and each element goes this long after it was last seen.
    package var timeoutSeconds: UInt32?
    package var elements: [FilterElement]

    package init(
        key: [FilterField], data: Data = .none, isInterval: Bool = false, timeoutSeconds: UInt32? = nil, elements: [FilterElement] = []
    ) {
        self.key = key
        self.data = data
        self.isInterval = isInterval
        self.timeoutSeconds = timeoutSeconds
        self.elements = elements
    }

    /// Elements that one set of the kernel's own filling may have.
    package static let dynamicLimit: UInt32 = 65_536

    /// A set of address ranges; those that touch are joined.
    package static func ranges(_ ranges: [ClosedRange<UInt32>]) -> FilterSet {
        var elements: [FilterElement] = []
        for range in merged(ranges) {
            elements.append(FilterElement(IPv4(range.lowerBound).bytes))
            if range.upperBound < .max { elements.append(FilterElement(IPv4(range.upperBound + 1).bytes, endsInterval: true)) }
        }
        return FilterSet(key: [.address], isInterval: true, elements: elements)
    }

    /// A set of port ranges; those that touch are joined.
    package static func ports(_ ranges: [ClosedRange<UInt16>]) -> FilterSet {
        var elements: [FilterElement] = []
        for range in merged(ranges.map { UInt32($0.lowerBound)...UInt32($0.upperBound) }) {
            elements.append(FilterElement(FilterValue.port(UInt16(range.lowerBound))))
            if range.upperBound < UInt16.max {
                elements.append(FilterElement(FilterValue.port(UInt16(range.upperBound + 1)), endsInterval: true))
            }
        }
        return FilterSet(key: [.port], isInterval: true, elements: elements)
    }

    package static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }) {
            if let last = result.last, last.upperBound == .max || range.lowerBound <= last.upperBound + 1 {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }
}

/// One step of a rule. `register` and `into` count four bytes each.
package enum FilterStep: Sendable, Hashable {
    package enum Header: UInt32, Sendable {
        case network = 1
        case transport = 2
    }
    package enum Meta: UInt32, Sendable {
        case mark = 3
        case inputName = 6
        case outputName = 7
        case transport = 16
    }
    package enum Comparison: UInt32, Sendable {
        case equal = 0
        case notEqual = 1
    }

    case load(Header, offset: UInt32, length: UInt32, into: Int)
    case meta(Meta, into: Int)
    case setMark(from: Int)
    /// The connection's state as bits: 2 established, 4 related, 8 new.
    case connectionState(into: Int)
    /// The connection's status as bits: 16 source changed, 32 destination changed.
    case connectionStatus(into: Int)
    /// The kind of the packet's destination address, 2 for one of this machine's own.
    case destinationKind(into: Int)
    case sourceKind(into: Int)
    case bits(register: Int, mask: UInt32, flip: UInt32)
    case compare(Comparison, register: Int, [UInt8])
    case isIn(set: String, register: Int, isNot: Bool)
    /// A set that belongs to this rule.
    case isAmong(FilterSet, register: Int, isNot: Bool)
    /// Looks a key up. The data goes to `into`; a verdict (`into` is nil) is followed.
    case map(set: String, register: Int, into: Int?)
    case mapAmong(FilterSet, register: Int, into: Int)
    /// Puts the key into a set with a timeout, or starts its time anew.
    case remember(set: String, register: Int)
    case constant([UInt8], into: Int)
    case random(below: UInt32, into: Int)
    case changeDestination(address: Int, port: Int?)
    case masquerade
    /// Answers with ICMP "port unreachable", of which the kernel sends one client only a few a second.
    case reject
    /// Answers TCP with a reset.
    case reset
    case verdict(FilterVerdict)
}

package typealias FilterRule = [FilterStep]

package struct FilterChain: Sendable, Hashable {
    package struct Base: Sendable, Hashable {
        /// `filter` or `nat`.
        package var type: String
        package var hook: FilterHook
        package var priority: Int32
        package init(_ type: String, _ hook: FilterHook, priority: Int32) {
            self.type = type
            self.hook = hook
            self.priority = priority
        }
    }
    package var base: Base?
    package var rules: [FilterRule]
    package init(base: Base? = nil, _ rules: [FilterRule] = []) {
        self.base = base
        self.rules = rules
    }
}

package struct FilterTable: Sendable, Hashable {
    package var name: String
    package var chains: [String: FilterChain]
    package var sets: [String: FilterSet]
    package init(name: String, chains: [String: FilterChain] = [:], sets: [String: FilterSet] = [:]) {
        self.name = name
        self.chains = chains
        self.sets = sets
    }
}

// Steps that rules are often made of.
extension [FilterStep] {
    package static var source: FilterRule { [.load(.network, offset: 12, length: 4, into: 0)] }
    package static var destination: FilterRule { [.load(.network, offset: 16, length: 4, into: 0)] }

    package static func source(in set: String, isNot: Bool = false) -> FilterRule { source + [.isIn(set: set, register: 0, isNot: isNot)] }
    package static func destination(in set: String, isNot: Bool = false) -> FilterRule {
        destination + [.isIn(set: set, register: 0, isNot: isNot)]
    }
    package static func source(_ block: IPv4Block, isNot: Bool = false) -> FilterRule { source + within(block, isNot: isNot) }
    package static func destination(_ block: IPv4Block, isNot: Bool = false) -> FilterRule { destination + within(block, isNot: isNot) }

    private static func within(_ block: IPv4Block, isNot: Bool) -> FilterRule {
        let mask = block.prefixLength == 0 ? 0 : ~UInt32(0) << (32 - UInt32(block.prefixLength))
        return [
            .bits(register: 0, mask: mask.bigEndian, flip: 0),
            .compare(isNot ? .notEqual : .equal, register: 0, block.base.bytes),
        ]
    }

    package static func transport(_ number: UInt8) -> FilterRule { [.meta(.transport, into: 0), .compare(.equal, register: 0, [number])] }
    package static func state(_ bits: UInt32) -> FilterRule {
        [
            .connectionState(into: 0), .bits(register: 0, mask: bits, flip: 0),
            .compare(.notEqual, register: 0, FilterValue.number(0)),
        ]
    }
    package static var toThisMachine: FilterRule {
        [.destinationKind(into: 0), .compare(.equal, register: 0, FilterValue.number(2))]
    }
    package static var fromThisMachine: FilterRule {
        [.sourceKind(into: 0), .compare(.equal, register: 0, FilterValue.number(2))]
    }
    package static func mark(_ bits: UInt32, isSet: Bool = true) -> FilterRule {
        [
            .meta(.mark, into: 0), .bits(register: 0, mask: bits, flip: 0),
            .compare(isSet ? .notEqual : .equal, register: 0, FilterValue.number(0)),
        ]
    }
    package static func addMark(_ bits: UInt32) -> FilterRule {
        [.meta(.mark, into: 0), .bits(register: 0, mask: ~bits, flip: bits), .setMark(from: 0)]
    }
    package static func input(_ name: String, isNot: Bool = false) -> FilterRule {
        [.meta(.inputName, into: 0), .compare(isNot ? .notEqual : .equal, register: 0, FilterValue.link(name))]
    }
    package static func output(_ name: String, isNot: Bool = false) -> FilterRule {
        [.meta(.outputName, into: 0), .compare(isNot ? .notEqual : .equal, register: 0, FilterValue.link(name))]
    }
}
