import Safetensors

/// What `beem features inspect` tells of a cache.
public struct FeatureCacheSummary: Codable, Equatable, Sendable {
    /// A tensor of the file.
    public struct Tensor: Codable, Equatable, Sendable {
        /// The name.
        public var name: String
        /// The element type as the format calls it.
        public var type: String
        /// The extents.
        public var shape: [Int]
        /// Whether a feature cache has a tensor of this name; others are kept but not used.
        public var isKnown: Bool
    }

    /// An exit.
    public struct Exit: Codable, Equatable, Sendable {
        /// The name.
        public var name: String
        /// How many features it has.
        public var width: Int
        /// How many features the backbone has there; nil when the cache is not compressed.
        public var fullWidth: Int?
        /// The element type as the format calls it.
        public var type: String
    }

    /// A class or a split, with how many samples it has.
    public struct Count: Codable, Equatable, Sendable {
        /// The name; `none` for samples that no split has.
        public var name: String
        /// The samples.
        public var samples: Int
    }

    /// The file as the user named it.
    public var path: String
    /// The size of all files in bytes.
    public var byteCount: Int
    /// How many files hold the rows one after the other; nil where one file holds all.
    public var rowShards: Int?
    /// How many samples there are.
    public var sampleCount: Int
    /// [exits]
    public var exits: [Exit]
    /// [classes]
    public var classes: [Count]
    /// The stored splits, in their order, `none` last; empty when no split is stored.
    public var splits: [Count]
    /// How many groups there are; nil when samples are not grouped.
    public var groupCount: Int?
    /// Whether the cache holds logits.
    public var hasLogits: Bool
    /// In the order of the file.
    public var tensors: [Tensor]
    /// The metadata as stored.
    public var metadata: [String: String]
}

extension FeatureCache {
    /// What there is to know of the cache at a glance.
    ///
    /// - Complexity: O(samples).
    public var summary: FeatureCacheSummary {
        var labelCounts = [Int](repeating: 0, count: classes.count)
        for label in labels { labelCounts[Int(label)] += 1 }
        var splits: [FeatureCacheSummary.Count] = []
        if let storedSplit {
            splits = Split.allCases.map { split in
                .init(name: split.description, samples: storedSplit.count { $0 == split.rawValue })
            }
            splits.append(.init(name: "none", samples: storedSplit.count { $0 == Split.unassignedCode }))
        }
        var known: Set<String> = ["labels", "targets", "split", "group", "subgroup"]
        for exit in 0..<exitCount {
            known.formUnion(["features", "logits", "projection", "offset"].map { "\($0).\(exit)" })
        }
        return FeatureCacheSummary(
            path: path, byteCount: store.files.reduce(0) { $0 + $1.file.count },
            rowShards: rowShards.isEmpty ? nil : rowShards.count, sampleCount: sampleCount,
            exits: (0..<exitCount).map { exit in
                .init(
                    name: exitNames[exit], width: width(ofExit: exit),
                    fullWidth: isCompressed ? projections[exit].matrix.shape[1] : nil,
                    type: features[exit].elementType.rawValue)
            },
            classes: zip(classes, labelCounts).map { .init(name: $0, samples: $1) }, splits: splits,
            groupCount: groups.map { Set($0).count }, hasLogits: hasLogits,
            tensors: store.tensors.map { tensor in
                .init(
                    name: tensor.name, type: tensor.elementType.rawValue, shape: tensor.shape,
                    isKnown: known.contains(tensor.name))
            }, metadata: metadata)
    }
}
