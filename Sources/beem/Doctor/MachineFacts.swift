import Foundation

#if canImport(Darwin)
    import Darwin
#endif

/// What the command runs on, and what it was built with.
enum MachineFacts {
    /// The Swift that compiled this, as far as a program can know.
    static var compiler: String {
        #if compiler(>=6.4)
            "Swift 6.4 or later"
        #elseif compiler(>=6.3)
            "Swift 6.3"
        #elseif compiler(>=6.2)
            "Swift 6.2"
        #else
            "Swift 6.1"
        #endif
    }

    /// For example `Debian GNU/Linux 12 (bookworm), x86_64`.
    static var operatingSystem: String {
        #if os(Linux)
            let name = value(of: "PRETTY_NAME", in: "/etc/os-release", separator: "=") ?? "Linux"
        #else
            let name = "macOS " + ProcessInfo.processInfo.operatingSystemVersionString
        #endif
        return "\(name), \(architecture)"
    }

    /// The processor's name; the architecture where it has none.
    static var processor: String {
        #if canImport(Darwin)
            var size = 0
            guard sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0) == 0, size > 0 else {
                return architecture
            }
            var bytes = [UInt8](repeating: 0, count: size)
            sysctlbyname("machdep.cpu.brand_string", &bytes, &size, nil, 0)
            return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        #else
            return value(of: "model name", in: "/proc/cpuinfo", separator: ":") ?? architecture
        #endif
    }

    private static var architecture: String {
        #if arch(x86_64)
            "x86_64"
        #elseif arch(arm64)
            "arm64"
        #else
            "an unknown processor"
        #endif
    }

    /// The first value of a key in a file of keys and values, without quotes.
    private static func value(of key: String, in file: String, separator: Character) -> String? {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: separator, maxSplits: 1)
            guard parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces) == key else { continue }
            return parts[1].trimmingCharacters(in: CharacterSet(charactersIn: " \t\""))
        }
        return nil
    }
}
