// Finds the key that somebody most likely meant.

enum NearestKey {
    /// The key nearest to `name`, compared as a whole and by its last word, or `nil` when nothing is near.
    static func find(_ name: String) -> String? {
        let wanted = name.lowercased().prefix(80)
        let word = lastWord(wanted)
        let near = Setting.table.map { setting -> (name: String, distance: Int) in
            let lowered = setting.name.lowercased()
            let whole = distance(wanted, lowered)
            // The right word in the wrong group is a good guess, though never better than the same word in the right group.
            let inner = distance(word, lastWord(lowered)) + 1
            return (setting.name, min(whole, inner))
        }
        guard let best = near.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, word.count / 3) ? best.name : nil
    }

    private static func lastWord(_ name: some StringProtocol) -> String { String(name.split(separator: ".").last ?? "") }

    /// How many letters must be added, removed, changed or swapped with their neighbour (Damerau–Levenshtein, restricted).
    static func distance(_ left: some StringProtocol, _ right: some StringProtocol) -> Int {
        let left = Array(left)
        let right = Array(right)
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        var before: [Int] = []
        var above = Array(0...right.count)
        for i in 1...left.count {
            var row = [i]
            for j in 1...right.count {
                let change = above[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1)
                var best = min(change, above[j] + 1, row[j - 1] + 1)
                if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] { best = min(best, before[j - 2] + 1) }
                row.append(best)
            }
            before = above
            above = row
        }
        return above[right.count]
    }
}
