// What leads from one state of a table to another: the messages in an order that the kernel accepts.
//
// First comes what others refer to (chains, sets), then elements and rules, last what nobody refers to any more. A chain whose
// rules changed gets all of them anew, within the same transaction, so that no packet sees half of it.
internal import CLinux

struct FilterTransaction {
    /// Messages that must not be separated: a rule and the sets that belong to it.
    private(set) var units: [[NetlinkMessage]] = []
    private var nextIdentifier: UInt32 = 1
    private let table: String

    var isEmpty: Bool { units.isEmpty }

    /// Replaces whatever table of that name there is, or removes it (nil).
    init(replacing name: String, with new: FilterTable?) {
        table = name
        // Deleting a table that is not there fails, adding one that is there does not.
        units.append([FilterMessages.table(.newTable, name)])
        units.append([FilterMessages.table(.deleteTable, name)])
        if let new {
            units.append([FilterMessages.table(.newTable, name)])
            change(FilterTable(name: name), to: new)
        }
    }

    init(from old: FilterTable, to new: FilterTable) {
        table = new.name
        change(old, to: new)
    }

    private mutating func change(_ old: FilterTable, to new: FilterTable) {
        let goneChains = old.chains.keys.filter { new.chains[$0] == nil }.sorted()
        let goneSets = old.sets.keys.filter { new.sets[$0] == nil }.sorted()
        for (name, chain) in sorted(new.chains) where old.chains[name] == nil {
            units.append([FilterMessages.newChain(name, chain, table: table)])
        }
        for (name, set) in sorted(new.sets) where old.sets[name] == nil {
            units.append([FilterMessages.newSet(name, set, table: table, identifier: identifier())])
        }
        for (name, set) in sorted(new.sets) { change(name, from: old.sets[name], to: set) }
        for (name, chain) in sorted(new.chains) where old.chains[name]?.rules ?? [] != chain.rules {
            var unit: [NetlinkMessage] = []
            if let known = old.chains[name], !known.rules.isEmpty { unit.append(FilterMessages.flush(name, table: table)) }
            for rule in chain.rules { unit += messages(rule, chain: name) }
            units.append(unit)
        }
        for name in goneSets where old.sets[name]?.data == .verdict {
            units.append([FilterMessages.elements(.deleteElement, [], of: old.sets[name]!, name: name, table: table)])
        }
        for name in goneChains where old.chains[name]?.rules.isEmpty == false { units.append([FilterMessages.flush(name, table: table)]) }
        for name in goneSets { units.append([FilterMessages.deleteSet(name, table: table)]) }
        for name in goneChains { units.append([FilterMessages.deleteChain(name, table: table)]) }
    }

    private mutating func change(_ name: String, from old: FilterSet?, to new: FilterSet) {
        let known = old?.elements ?? []
        guard known != new.elements else { return }
        if new.isInterval {
            // Which start belongs to which end matters, so all of them are given anew.
            if !known.isEmpty { units.append([FilterMessages.elements(.deleteElement, [], of: new, name: name, table: table)]) }
            add(.newElement, new.elements, of: new, name: name)
            return
        }
        let before = Set(known)
        let after = Set(new.elements)
        add(.deleteElement, known.filter { !after.contains($0) }, of: new, name: name)
        add(.newElement, new.elements.filter { !before.contains($0) }, of: new, name: name)
    }

    private mutating func add(_ kind: FilterMessages.Kind, _ elements: [FilterElement], of set: FilterSet, name: String) {
        for start in stride(from: 0, to: elements.count, by: FilterMessages.elementsPerMessage) {
            let part = elements[start..<min(elements.count, start + FilterMessages.elementsPerMessage)]
            units.append([FilterMessages.elements(kind, part, of: set, name: name, table: table)])
        }
    }

    private mutating func messages(_ rule: FilterRule, chain: String) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var identifiers: [UInt32] = []
        for step in rule {
            let set: FilterSet
            switch step {
            case .isAmong(let own, _, _): set = own
            case .mapAmong(let own, _, _): set = own
            default: continue
            }
            let name = set.data == .none ? "__set%d" : "__map%d"
            let identifier = identifier()
            identifiers.append(identifier)
            messages.append(FilterMessages.newSet(name, set, table: table, identifier: identifier, isAnonymous: true))
            for start in stride(from: 0, to: set.elements.count, by: FilterMessages.elementsPerMessage) {
                let part = set.elements[start..<min(set.elements.count, start + FilterMessages.elementsPerMessage)]
                messages.append(
                    FilterMessages.elements(.newElement, part, of: set, name: name, table: table, identifier: identifier))
            }
        }
        messages.append(FilterMessages.newRule(rule, chain: chain, table: table, anonymous: identifiers))
        return messages
    }

    private mutating func identifier() -> UInt32 {
        defer { nextIdentifier += 1 }
        return nextIdentifier
    }

    private func sorted<Value>(_ items: [String: Value]) -> [(String, Value)] {
        items.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
