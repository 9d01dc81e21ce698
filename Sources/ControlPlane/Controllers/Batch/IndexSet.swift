// Completion indexes as a job's status writes them: "0-2,5".
struct IndexSet: Equatable, Sendable {
    private(set) var indexes: Set<Int> = []

    init(_ indexes: Set<Int> = []) { self.indexes = indexes }

    init(text: String) {
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { continue }
            indexes.formUnion(first...last)
        }
    }

    var text: String {
        var parts: [String] = []
        var sorted = indexes.sorted()[...]
        while let first = sorted.popFirst() {
            var last = first
            while sorted.first == last + 1 { last = sorted.removeFirst() }
            parts.append(first == last ? "\(first)" : last == first + 1 ? "\(first),\(last)" : "\(first)-\(last)")
        }
        return parts.joined(separator: ",")
    }

    var count: Int { indexes.count }
    func contains(_ index: Int) -> Bool { indexes.contains(index) }
    mutating func insert(_ index: Int) { indexes.insert(index) }
}
