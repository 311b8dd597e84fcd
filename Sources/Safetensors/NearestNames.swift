/// The names closest to one that was not found, closest first, for "did you mean" in messages.
///
/// - Parameters:
///   - name: what was asked for.
///   - known: what there is.
///   - limit: the most names to return.
/// - Returns: names within a third of the length of `name` in edits (insert, delete, replace, swap of neighbours), at
///   least one edit allowed; ties in the order of the alphabet.
/// - Complexity: O(known names x length^2).
public func nearestNames(to name: String, among known: some Sequence<String>, limit: Int = 3) -> [String] {
    let target = Array(name.unicodeScalars)
    let allowed = max(1, target.count / 3)
    var found: [(distance: Int, name: String)] = []
    for candidate in known {
        let scalars = Array(candidate.unicodeScalars)
        guard abs(scalars.count - target.count) <= allowed else { continue }
        let distance = editDistance(target, scalars)
        if distance <= allowed { found.append((distance, candidate)) }
    }
    found.sort { ($0.distance, $0.name) < ($1.distance, $1.name) }
    return found.prefix(limit).map(\.name)
}

/// The optimal string alignment distance: edits that turn one sequence into the other.
private func editDistance(_ first: [Unicode.Scalar], _ second: [Unicode.Scalar]) -> Int {
    guard !first.isEmpty, !second.isEmpty else { return max(first.count, second.count) }
    var beforeLast: [Int] = []
    var last = Array(0...second.count)
    for row in 1...first.count {
        var current = [row]
        current.reserveCapacity(second.count + 1)
        for column in 1...second.count {
            let replaced = last[column - 1] + (first[row - 1] == second[column - 1] ? 0 : 1)
            var best = min(replaced, last[column] + 1, current[column - 1] + 1)
            if row > 1, column > 1, first[row - 1] == second[column - 2], first[row - 2] == second[column - 1] {
                best = min(best, beforeLast[column - 2] + 1)
            }
            current.append(best)
        }
        beforeLast = last
        last = current
    }
    return last[second.count]
}
