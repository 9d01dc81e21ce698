// What can be wrong with a configuration, and where.
internal import Essentials

/// A place in a configuration: a line of a file, or an option of the command line.
package enum SettingOrigin: Sendable, Equatable, CustomStringConvertible {
    /// Lines count from 1.
    case file(path: String, line: Int)
    case option(String)

    package var description: String {
        switch self {
        case .file(let path, let line): "\(path), line \(line)"
        case .option(let name): name
        }
    }
}

package enum ConfigurationProblem: Problem, Equatable {
    case unreadable(path: String, why: String)
    case tooLarge(path: String, limitBytes: Int)
    case notYAML(SettingOrigin, why: String)
    case unknownKey(SettingOrigin, key: String, nearest: String?)
    case givenTwice(SettingOrigin, key: String)
    case invalidValue(SettingOrigin, key: String, value: String, expected: String)
    case inconsistent(String)
    /// All that was found, so that one look repairs it.
    case several([ConfigurationProblem])

    package var reason: String {
        switch self {
        case .unreadable: "ConfigurationUnreadable"
        case .tooLarge: "ConfigurationTooLarge"
        case .notYAML: "ConfigurationNotYAML"
        case .unknownKey: "ConfigurationKeyUnknown"
        case .givenTwice: "ConfigurationKeyGivenTwice"
        case .invalidValue: "ConfigurationValueInvalid"
        case .inconsistent: "ConfigurationInconsistent"
        case .several: "ConfigurationInvalid"
        }
    }

    package var message: String {
        switch self {
        case .unreadable(let path, let why): "\(path) cannot be read: \(why)"
        case .tooLarge(let path, let limitBytes): "\(path) is larger than \(limitBytes / 1024) KiB, which no configuration needs"
        case .notYAML(let place, let why): "\(place): this is not YAML: \(why)"
        case .unknownKey(let place, let key, let nearest):
            "\(place): there is no key \(key)" + (nearest.map { "; did you mean \($0)?" } ?? "; `lectern config explain` lists all keys")
        case .givenTwice(let place, let key): "\(place): \(key) is given a second time; remove one of them"
        case .invalidValue(let place, let key, let value, let expected): "\(place): \(key) cannot be \(value); it is \(expected)"
        case .inconsistent(let what): what
        case .several(let problems): problems.map(\.message).joined(separator: "\n")
        }
    }
}
