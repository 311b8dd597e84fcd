extension SingleThresholdFrontier {
    /// The points that no other point beats: none costs no more and gets fewer samples wrong than its successor. From
    /// "never leave early", or the first point that gets less wrong, down in cost, so errors rise strictly.
    ///
    /// - Complexity: O(points).
    public var efficientPoints: [Point] {
        var efficient: [Point] = []
        // Costs fall along the points, so a point counts when it gets less wrong than all cheaper ones.
        var least = Int.max
        for point in points.reversed() where point.harmfulFlips - point.helpfulFlips < least {
            least = point.harmfulFlips - point.helpfulFlips
            efficient.append(point)
        }
        return efficient.reversed()
    }
}
