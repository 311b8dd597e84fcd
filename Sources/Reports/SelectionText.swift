/// One sentence on the exits that are switched off.
struct SelectionText: Equatable, Sendable {
    /// Their names.
    var switchedOff: [String]
    /// The speed-up that is predicted to be certified without them; nil where the recipe named the others.
    var predicted: Double?
    /// The same with all exits.
    var predictedOfAll: Double?

    /// The sentence, without a line break.
    var text: String {
        let names = switchedOff.joined(separator: ", ")
        guard let predicted, let predictedOfAll else { return "Not offered, as the recipe says: \(names)" }
        return "Switched off, since their checks cost more than they save: \(names) (predicted to be certified: "
            + "\(Format.speedUp(predicted)), the largest of many and so flattered; with all exits "
            + "\(Format.speedUp(predictedOfAll)))"
    }
}
