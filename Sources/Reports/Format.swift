import Foundation

/// How numbers are written for people.
public enum Format {
    /// A fraction in percent with two decimals, for example `13.27 %`.
    public static func percent(_ fraction: Double) -> String { String(format: "%.2f %%", 100 * fraction) }

    /// A difference of fractions in points, always with a sign, for example `-0.54`.
    public static func points(_ difference: Double) -> String { String(format: "%+.2f", 100 * difference) }

    /// An interval of differences in points, for example `-3.12 to -0.55`.
    public static func interval(_ lower: Double, _ upper: Double) -> String { "\(points(lower)) to \(points(upper))" }

    /// A speed-up, for example `2.18x`.
    public static func speedUp(_ ratio: Double) -> String { String(format: "%.2fx", ratio) }

    /// A number with three decimals.
    public static func decimal(_ value: Double) -> String { String(format: "%.3f", value) }

    /// A number with as few digits as say it, for costs and penalties.
    public static func short(_ value: Double) -> String { String(format: "%g", value) }

    /// A number with four significant digits.
    static func rounded(_ value: Double) -> Double { Double(String(format: "%.4g", value)) ?? value }

    /// A whole number with commas, for example `10,603`.
    public static func count(_ value: Int) -> String {
        var digits = String(value.magnitude)
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return (value < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// A probability with two significant digits, for example `0.0021` or `3.1e-08`.
    public static func probability(_ value: Double) -> String {
        String(format: value != 0 && value < 1e-4 ? "%.1e" : "%.2g", value)
    }
}
