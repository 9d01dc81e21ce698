// Flags as Kubernetes' programs take them: `--name=value`, `--name value` for known names, `-v=2`, words between.
internal import Glibc
internal import Kernel

struct Flags: Sendable {
    let name: String
    /// As they came, without the program's name.
    let words: [String]

    /// The values of `--flag`, in order. `isSwitch`: the flag may stand alone and means `true` then.
    func all(_ flag: String, isSwitch: Bool = false) -> [String] {
        var found: [String] = []
        var index = 0
        while index < words.count, words[index] != "--" {
            let word = words[index]
            for dashes in ["--", "-"] {
                if word.hasPrefix(dashes + flag + "=") {
                    found.append(String(word.dropFirst(dashes.count + flag.count + 1)))
                } else if word == dashes + flag {
                    if isSwitch {
                        found.append("true")
                    } else if index + 1 < words.count {
                        found.append(words[index + 1])
                        index += 1
                    }
                } else {
                    continue
                }
                break
            }
            index += 1
        }
        return found
    }

    func value(_ flag: String) -> String? { all(flag).last }
    func isOn(_ flag: String, default fallback: Bool = false) -> Bool { all(flag, isSwitch: true).last.map { $0 == "true" } ?? fallback }

    static func fail(_ message: String, status: Int32 = 2) -> Never {
        printError(message)
        exit(status)
    }

    static func printError(_ message: String) {
        _ = PTYFiles.write(2, Array(message.utf8))
    }
}
