/// Which samples belong together: members of a group may depend on each other, groups do not.
struct SampleGroups {
    /// A group and its rows, in the order of the table.
    struct Group {
        var name: Int
        var rows: [Int]
    }

    /// The groups, in the order of their first rows.
    let groups: [Group]

    /// Sorts rows by their group.
    ///
    /// - Parameter names: [samples]: the group of each sample; the members need not be neighbours.
    /// - Complexity: O(samples).
    init(_ names: some Collection<Int>) {
        var positions: [Int: Int] = [:]
        var groups: [Group] = []
        for (row, name) in names.enumerated() {
            if let position = positions[name] {
                groups[position].rows.append(row)
            } else {
                positions[name] = groups.count
                groups.append(Group(name: name, rows: [row]))
            }
        }
        self.groups = groups
    }

    /// Refuses dependent samples on behalf of a test that counts every sample as independent.
    func requireIndependence(for test: String) throws(RiskControlError) {
        for group in groups where group.rows.count > 1 {
            throw .dependentSamples(test: test, group: group.name, size: group.rows.count)
        }
    }

    /// Refuses groups larger than declared.
    func require(maximumSize: Int) throws(RiskControlError) {
        for group in groups where group.rows.count > maximumSize {
            throw .groupTooLarge(group: group.name, size: group.rows.count, maximum: maximumSize)
        }
    }
}
