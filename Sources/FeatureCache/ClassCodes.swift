import Foundation
import Safetensors

/// Classes of a table, numbered: whole numbers by their value, texts by the alphabet, or as the user lists them.
struct ClassCodes {
    /// The names, by number.
    let names: [String]
    private let codes: [String: Int32]

    /// Numbers the texts of label columns.
    ///
    /// Where all texts are whole numbers, `3` and `3.0` are the same class. Where the user lists names, none of which is
    /// a number, and the table has numbers instead, those are the places in the list, from 0.
    ///
    /// - Parameters:
    ///   - texts: all texts that occur as a label.
    ///   - listed: the names the user gives; nil: those that occur.
    /// - Throws: `InputError` for a text that is in no list of names.
    init(of texts: Set<String>, listed: [String]?, file: String) throws(InputError) {
        let numbers = Dictionary(
            uniqueKeysWithValues: texts.compactMap { text in Self.wholeNumber(text).map { (text, $0) } })
        let areNumbers = numbers.count == texts.count
        // What each text is called among the names.
        let called: [String: String] =
            areNumbers
            ? numbers.mapValues(String.init) : Dictionary(uniqueKeysWithValues: texts.map { ($0, $0) })
        let occurring: [String] = areNumbers ? Set(numbers.values).sorted().map(String.init) : texts.sorted()
        names = listed ?? occurring
        var places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, Int32($0)) })
        if areNumbers {
            let values = names.map(Self.wholeNumber)
            let arePlaces = values.allSatisfy { $0 == nil }
            for (place, value) in values.enumerated() {
                guard let text = arePlaces ? String(place) : value.map(String.init) else { continue }
                places[text] = places[text] ?? Int32(place)
            }
        }
        if let stranger = occurring.first(where: { places[$0] == nil }) {
            throw InputError(
                .outOfRange, file: file, item: "labels", seen: "'\(stranger)'",
                expected: "one of the \(names.count) classes \(names.prefix(20).joined(separator: ", "))",
                advice: nearestNames(to: stranger, among: names).first.map { "Did you mean `\($0)`?" })
        }
        codes = called.mapValues { places[$0]! }
    }

    /// The number of a text that was among those given.
    subscript(text: String) -> Int32 { codes[text]! }

    private static func wholeNumber(_ text: String) -> Int? {
        guard let value = Double(text.trimmingCharacters(in: .whitespaces)), abs(value) <= 0x1p31 else { return nil }
        return Int(exactly: value)
    }
}
