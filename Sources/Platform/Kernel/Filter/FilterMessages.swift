// nf_tables messages (linux/netfilter/nf_tables.h). Numbers in attributes are big-endian, registers' contents are not.
internal import CLinux
internal import Essentials
internal import Glibc

enum FilterMessages {
    private static let subsystem: UInt16 = 10 << 8
    private static let familyIPv4: UInt8 = 2

    /// Message types of the subsystem.
    enum Kind: UInt16 {
        case newTable = 0
        case getTable = 1
        case deleteTable = 2
        case newChain = 3
        case deleteChain = 5
        case newRule = 6
        case deleteRule = 8
        case newSet = 9
        case deleteSet = 11
        case newElement = 12
        case deleteElement = 14
    }

    /// The beginning (0x10) or end (0x11) of a transaction.
    static func batch(type: UInt16) -> NetlinkMessage {
        var message = NetlinkMessage(type: type, flags: 0, acknowledged: false)
        message.netfilterHeader(family: 0, resource: 10)
        return message
    }

    static func message(_ kind: Kind, create: Bool = false) -> NetlinkMessage {
        var message = NetlinkMessage(
            type: subsystem | kind.rawValue, flags: create ? UInt16(NLM_F_CREATE) : 0, acknowledged: false)
        message.netfilterHeader(family: familyIPv4, resource: 0)
        return message
    }

    static func table(_ kind: Kind, _ name: String) -> NetlinkMessage {
        var message = message(kind, create: kind == .newTable)
        message.attribute(1, text: name)
        if kind == .newTable { message.attribute(2, big: 0) }
        return message
    }

    static func newChain(_ name: String, _ chain: FilterChain, table: String) -> NetlinkMessage {
        var message = message(.newChain, create: true)
        message.attribute(1, text: table)
        message.attribute(3, text: name)
        if let base = chain.base {
            message.attribute(nested: 4) { hook in
                hook.attribute(1, big: base.hook.rawValue)
                hook.attribute(2, big: UInt32(bitPattern: base.priority))
            }
            message.attribute(5, big: 1)  // policy accept
            message.attribute(7, text: base.type)
        }
        return message
    }

    static func deleteChain(_ name: String, table: String) -> NetlinkMessage {
        var message = message(.deleteChain)
        message.attribute(1, text: table)
        message.attribute(3, text: name)
        return message
    }

    /// Deletes all rules of a chain.
    static func flush(_ chain: String, table: String) -> NetlinkMessage {
        var message = message(.deleteRule)
        message.attribute(1, text: table)
        message.attribute(2, text: chain)
        return message
    }

    /// `identifier` is that of an anonymous set in its transaction.
    static func newSet(_ name: String, _ set: FilterSet, table: String, identifier: UInt32, isAnonymous: Bool = false) -> NetlinkMessage {
        var flags: UInt32 = isAnonymous ? 1 | 2 : 0
        if set.isInterval { flags |= 4 }
        if set.data != .none { flags |= 8 }
        if set.timeoutSeconds != nil { flags |= 0x10 | 0x20 }
        var message = message(.newSet, create: true)
        message.attribute(1, text: table)
        message.attribute(2, text: name)
        message.attribute(3, big: flags)
        message.attribute(4, big: type(set.key))
        message.attribute(5, big: UInt32(length(set.key)))
        switch set.data {
        case .none: break
        case .verdict:
            message.attribute(6, big: 0xFFFF_FF00)
            message.attribute(7, big: 16)
        case .fields(let fields):
            message.attribute(6, big: type(fields))
            message.attribute(7, big: UInt32(length(fields)))
        }
        if isAnonymous || set.timeoutSeconds != nil {
            message.attribute(nested: 9) { description in
                description.attribute(1, big: isAnonymous ? UInt32(max(1, set.elements.count)) : FilterSet.dynamicLimit)
            }
        }
        message.attribute(10, big: identifier)
        if let seconds = set.timeoutSeconds { message.attribute(11, big: UInt64(seconds) * 1000) }
        return message
    }

    static func deleteSet(_ name: String, table: String) -> NetlinkMessage {
        var message = message(.deleteSet)
        message.attribute(1, text: table)
        message.attribute(2, text: name)
        return message
    }

    /// Elements that one message carries: an attribute holds 64 KiB at most.
    static let elementsPerMessage = 400

    /// Adds or deletes elements; deleting none of a set empties it.
    static func elements(
        _ kind: Kind, _ elements: ArraySlice<FilterElement>, of set: FilterSet, name: String, table: String, identifier: UInt32 = 0
    ) -> NetlinkMessage {
        var message = message(kind, create: kind == .newElement)
        message.attribute(1, text: table)
        message.attribute(2, text: name)
        if identifier != 0 { message.attribute(4, big: identifier) }
        guard !elements.isEmpty else { return message }
        let length = length(set.key)
        message.attribute(nested: 3) { list in
            for element in elements {
                list.attribute(nested: 1) { item in
                    item.attribute(nested: 1) { $0.attribute(1, Array(element.key.prefix(length))) }
                    switch element.value {
                    case .none: break
                    case .verdict(let verdict): item.attribute(nested: 2) { $0.verdict(verdict) }
                    case .fields(let bytes): item.attribute(nested: 2) { $0.attribute(1, bytes) }
                    }
                    if element.endsInterval { item.attribute(3, big: UInt32(1)) }
                }
            }
        }
        return message
    }

    static func newRule(_ rule: FilterRule, chain: String, table: String, anonymous: [UInt32]) -> NetlinkMessage {
        var message = message(.newRule, create: true)
        // Behind the others.
        message.add(flags: UInt16(NLM_F_APPEND))
        message.attribute(1, text: table)
        message.attribute(2, text: chain)
        var identifiers = anonymous[...]
        message.attribute(nested: 4) { list in
            for step in rule { list.expression(step, identifiers: &identifiers) }
        }
        return message
    }

    static func length(_ fields: [FilterField]) -> Int {
        guard fields.count == 1 else { return fields.count * 4 }
        return switch fields[0] {
        case .address, .number: 4
        case .transport: 1
        case .port: 2
        }
    }

    /// The number by which `nft list` knows how to write a key.
    private static func type(_ fields: [FilterField]) -> UInt32 {
        fields.reduce(0) { sum, field in
            let number: UInt32 =
                switch field {
                case .address: 7
                case .transport: 12
                case .port: 13
                case .number: 4
                }
            return sum << 6 | number
        }
    }
}

extension NetlinkMessage {
    mutating func netfilterHeader(family: UInt8, resource: UInt16) {
        append(family)
        append(UInt8(0))
        append(resource.bigEndian)
    }

    mutating func attribute<Number: FixedWidthInteger>(_ type: Int32, big number: Number) {
        attribute(type, withUnsafeBytes(of: number.bigEndian) { Array($0) })
    }

    mutating func attribute(_ type: Int32, big number: Int) { attribute(type, big: UInt32(number)) }

    mutating func attribute(nested type: Int32, _ body: (inout NetlinkMessage) -> Void) {
        attribute(type | Int32(NLA_F_NESTED), nested: body)
    }

    mutating func verdict(_ verdict: FilterVerdict) {
        let (code, chain): (Int32, String?) =
            switch verdict {
            case .drop: (0, nil)
            case .accept: (1, nil)
            case .jump(let chain): (-3, chain)
            case .goto(let chain): (-4, chain)
            case .return: (-5, nil)
            }
        attribute(nested: 2) { data in
            data.attribute(1, big: UInt32(bitPattern: code))
            if let chain { data.attribute(2, text: chain) }
        }
    }

    private mutating func expression(_ name: String, _ body: (inout NetlinkMessage) -> Void) {
        attribute(nested: 1) { element in
            element.attribute(1, text: name)
            element.attribute(nested: 2, body)
        }
    }

    private mutating func register(_ type: Int32, _ number: Int) { attribute(type, big: UInt32(8 + number)) }

    fileprivate mutating func expression(_ step: FilterStep, identifiers: inout ArraySlice<UInt32>) {
        switch step {
        case .load(let header, let offset, let length, let into):
            expression("payload") { data in
                data.register(1, into)
                data.attribute(2, big: header.rawValue)
                data.attribute(3, big: offset)
                data.attribute(4, big: length)
            }
        case .meta(let key, let into):
            expression("meta") { data in
                data.register(1, into)
                data.attribute(2, big: key.rawValue)
            }
        case .setMark(let from):
            expression("meta") { data in
                data.register(3, from)
                data.attribute(2, big: FilterStep.Meta.mark.rawValue)
            }
        case .connectionState(let into): connection(key: 0, into: into)
        case .connectionStatus(let into): connection(key: 2, into: into)
        case .destinationKind(let into): addressKind(flags: 2, into: into)
        case .sourceKind(let into): addressKind(flags: 1, into: into)
        case .bits(let register, let mask, let flip):
            expression("bitwise") { data in
                data.register(1, register)
                data.register(2, register)
                data.attribute(3, big: UInt32(4))
                data.attribute(nested: 4) { $0.attribute(1, FilterValue.number(mask)) }
                data.attribute(nested: 5) { $0.attribute(1, FilterValue.number(flip)) }
            }
        case .compare(let comparison, let register, let bytes):
            expression("cmp") { data in
                data.register(1, register)
                data.attribute(2, big: comparison.rawValue)
                data.attribute(nested: 3) { $0.attribute(1, bytes) }
            }
        case .isIn(let set, let register, let isNot): lookup(set, 0, register, isNot: isNot)
        case .isAmong(_, let register, let isNot): lookup("__set%d", identifiers.popFirst() ?? 0, register, isNot: isNot)
        case .map(let set, let register, let into): lookup(set, 0, register, into: into.map { UInt32(8 + $0) } ?? 0)
        case .mapAmong(let set, let register, let into):
            lookup("__map%d", identifiers.popFirst() ?? 0, register, into: set.data == .verdict ? 0 : UInt32(8 + into))
        case .remember(let set, let register):
            expression("dynset") { data in
                data.attribute(1, text: set)
                data.attribute(3, big: UInt32(1))
                data.register(4, register)
            }
        case .constant(let bytes, let into):
            expression("immediate") { data in
                data.register(1, into)
                data.attribute(nested: 2) { $0.attribute(1, bytes) }
            }
        case .random(let bound, let into):
            expression("numgen") { data in
                data.register(1, into)
                data.attribute(2, big: bound)
                data.attribute(3, big: UInt32(1))
                data.attribute(4, big: UInt32(0))
            }
        case .changeDestination(let address, let port):
            expression("nat") { data in
                data.attribute(1, big: UInt32(1))
                data.attribute(2, big: UInt32(2))
                data.register(3, address)
                if let port { data.register(5, port) }
            }
        case .masquerade: expression("masq") { data in data.attribute(1, big: UInt32(0x10)) }
        case .reject:
            expression("reject") { data in
                data.attribute(1, big: UInt32(0))
                data.attribute(2, [UInt8(3)])
            }
        case .reset: expression("reject") { data in data.attribute(1, big: UInt32(1)) }
        case .verdict(let verdict):
            expression("immediate") { data in
                data.attribute(1, big: UInt32(0))
                data.attribute(nested: 2) { $0.verdict(verdict) }
            }
        }
    }

    private mutating func addressKind(flags: UInt32, into: Int) {
        expression("fib") { data in
            data.register(1, into)
            data.attribute(2, big: UInt32(3))
            data.attribute(3, big: flags)
        }
    }

    private mutating func connection(key: UInt32, into: Int) {
        expression("ct") { data in
            data.register(1, into)
            data.attribute(2, big: key)
        }
    }

    /// `into` is a register as the kernel counts them; 0 takes a verdict.
    private mutating func lookup(_ set: String, _ identifier: UInt32, _ register: Int, isNot: Bool = false, into: UInt32? = nil) {
        expression("lookup") { data in
            data.attribute(1, text: set)
            if identifier != 0 { data.attribute(4, big: identifier) }
            data.register(2, register)
            if let into { data.attribute(3, big: into) }
            if isNot { data.attribute(5, big: UInt32(1)) }
        }
    }
}
