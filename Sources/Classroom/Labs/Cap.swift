// The caps an admin sets: one table of names, units, defaults and ranges that configuration, API and decisions share.

/// What a sandbox may cost. Each case is a key of `caps:` in `lectern.yaml` and of `PUT /api/v1/admin/caps`.
package enum Cap: String, CaseIterable, Sendable {
    case labLifetimeMinutes, labLifetimeMaximumMinutes, idleMinutes, extensions, extensionMinutes
    case labsPerPerson, labsPerAddress, nodesPerLab
    case memoryMiBPerNode, cpuMillisPerNode, pidsPerNode, diskMiBPerNode
    case labsTotal, memoryTotalMiB, queueLength
}

/// One row of the table.
package struct CapRow: Sendable {
    package let unit: String
    package let standard: Int
    package let range: ClosedRange<Int>
    package let doc: String
}

extension Cap {
    package var row: CapRow {
        switch self {
        case .labLifetimeMinutes:
            CapRow(unit: "minutes", standard: 120, range: 1...10_080, doc: "How long a new lab lives unless its workshop asks for less.")
        case .labLifetimeMaximumMinutes:
            CapRow(unit: "minutes", standard: 480, range: 1...43_200, doc: "The longest a lab may live, extensions included.")
        case .idleMinutes:
            CapRow(
                unit: "minutes", standard: 60, range: 0...10_080,
                doc: "A lab nobody has watched or typed into for this long ends. 0 means never.")
        case .extensions: CapRow(unit: "times", standard: 4, range: 0...100, doc: "How often a learner may extend a lab.")
        case .extensionMinutes: CapRow(unit: "minutes", standard: 30, range: 1...1_440, doc: "The most that one extension adds.")
        case .labsPerPerson: CapRow(unit: "labs", standard: 2, range: 1...100, doc: "Labs one person may hold at once.")
        case .labsPerAddress:
            CapRow(
                unit: "labs", standard: 40, range: 1...10_000,
                doc: "Labs that may be held from one network address at once, so that one visitor without cookies cannot take all.")
        case .nodesPerLab: CapRow(unit: "nodes", standard: 5, range: 1...5, doc: "Nodes a workshop may ask for.")
        case .memoryMiBPerNode: CapRow(unit: "MiB", standard: 2_048, range: 64...1_048_576, doc: "Memory of one node.")
        case .cpuMillisPerNode: CapRow(unit: "millicores", standard: 2_000, range: 50...256_000, doc: "Processor time of one node.")
        case .pidsPerNode: CapRow(unit: "processes", standard: 2_048, range: 64...100_000, doc: "Processes and threads of one node.")
        case .diskMiBPerNode: CapRow(unit: "MiB", standard: 8_192, range: 64...1_048_576, doc: "Disk one node may fill.")
        case .labsTotal: CapRow(unit: "labs", standard: 100, range: 1...10_000, doc: "Labs on this machine at once.")
        case .memoryTotalMiB:
            CapRow(
                unit: "MiB", standard: 0, range: 0...16_777_216,
                doc: "Memory all labs may really use together; a new lab waits while it is reached. 0 means 80 % of the machine's.")
        case .queueLength: CapRow(unit: "labs", standard: 200, range: 0...10_000, doc: "Labs that may wait for a place.")
        }
    }
}

/// The caps in force.
package struct Caps: Sendable, Equatable {
    private var values: [Cap: Int] = [:]

    package init() {}

    package subscript(cap: Cap) -> Int { values[cap] ?? cap.row.standard }

    /// Sets a cap after checking its range.
    package mutating func set(_ cap: Cap, to value: Int) throws(LabProblem) {
        let range = cap.row.range
        guard range.contains(value) else {
            throw .invalidCap(name: cap.rawValue, detail: "it must lie between \(range.lowerBound) and \(range.upperBound) \(cap.row.unit)")
        }
        values[cap] = value
    }
}
