import FeatureCache
import Foundation

/// A command that is proposed at the end of another: it can be pasted into a shell as it stands.
struct NextCommand: CustomStringConvertible, Equatable, Sendable {
    private var words: [String]

    /// Begins with a subcommand, or several words of one, and its arguments.
    init(_ words: String...) { self.words = words }

    /// The same with an option, unless its value is nil.
    func with(_ option: String, _ value: (some LosslessStringConvertible)?) -> NextCommand {
        var command = self
        if let value { command.words += [option, "\(value)"] }
        return command
    }

    /// `beem` and the words, quoted where a shell would take them apart.
    var description: String { (["beem"] + words.map(Self.quoted)).joined(separator: " ") }

    private static func quoted(_ word: String) -> String {
        let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-_./:=,@%+"))
        if !word.isEmpty, word.unicodeScalars.allSatisfy(plain.contains) { return word }
        return "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}

extension RecipeOptions {
    /// Another command on the same recipe, with the same splits, heads and output folder.
    func next(_ subcommand: String, heads: HeadsOption? = nil) -> NextCommand {
        NextCommand(subcommand, recipe).with("--seed", seed).with("--output", output).with("--heads", heads?.heads)
    }
}

extension PolicyArguments {
    /// Another command on the same policy and samples.
    ///
    /// - Parameters:
    ///   - policy: the policy, where it is now another file.
    ///   - split: the split, where it is another one.
    func next(_ subcommand: String, policy: String? = nil, heads: String? = nil, split: Split?) -> NextCommand {
        data.next(subcommand, policy: policy ?? self.policy, features: features, heads: heads, split: split)
    }
}

extension PolicyDataOptions {
    /// Another command on a policy and samples.
    func next(
        _ subcommand: String, policy: String, features: String, heads: String? = nil, split: Split?
    ) -> NextCommand {
        NextCommand(subcommand, policy, features).with("--recipe", recipe).with("--heads", heads ?? self.heads)
            .with("--split", split?.description)
    }
}

extension PrintingOptions {
    /// Proposes the next command, where there is a natural one.
    func suggest(_ command: NextCommand?) {
        if let command { note("Next: \(command)") }
    }
}
