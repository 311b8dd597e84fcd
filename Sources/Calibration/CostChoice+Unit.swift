extension Recipe.CostChoice {
    /// What costs are counted in, for the axis of a plot.
    public var unit: String {
        switch self {
        case .layers: "layers"
        case .list: "given costs"
        case .flops: "FLOPs"
        case .timings: "measured time"
        case .batches: "measured time of batches"
        }
    }
}
