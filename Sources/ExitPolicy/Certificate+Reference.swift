extension Certificate {
    /// What a policy is compared with on the same samples.
    public enum Reference: Equatable, Sendable {
        /// The final layer; `"final"` in a policy file.
        case final
        /// Everyone leaving at one exit; its number in a policy file.
        case exit(Int)

        /// The exit, 0-based, of a network with so many.
        public func index(exitCount: Int) -> Int {
            switch self {
            case .final: exitCount - 1
            case .exit(let index): index
            }
        }
    }
}

extension Certificate.Reference: Codable {
    /// Reads `"final"` or the number of an exit.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let index = try? container.decode(Int.self), index >= 0 {
            self = .exit(index)
        } else if let name = try? container.decode(String.self), name == "final" {
            self = .final
        } else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "reference of a certificate: expected \"final\" or the number of an exit")
        }
    }

    /// Writes `"final"` or the number of an exit.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .final: try container.encode("final")
        case .exit(let index): try container.encode(index)
        }
    }
}
