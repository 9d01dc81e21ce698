// Log lines as Kubernetes' programs write them: `I1125 10:00:00.000000       1 informer] message key="value"`, on stderr.
internal import Essentials
internal import Glibc
internal import Kernel
internal import Logging

struct KlogHandler: LogHandler {
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]
    private let label: String

    init(label: String) { self.label = label }

    /// All loggers of the program write this way from now on; `-v=4` and more shows details.
    static func install(_ flags: Flags) {
        let isWordy = flags.value("v").flatMap { Int($0) } ?? 0 >= 4
        LoggingSystem.bootstrap { label in
            var handler = KlogHandler(label: label)
            if isWordy { handler.logLevel = .debug }
            return handler
        }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let letter =
            switch event.level {
            case .trace, .debug, .info, .notice: "I"
            case .warning: "W"
            case .error: "E"
            case .critical: "F"
            }
        let now = SystemClock().now().rfc3339Micro
        let pid = String(getpid())
        var text = letter + now.dropFirst(5).prefix(5).filter { $0 != "-" } + " " + now.dropFirst(11).dropLast()
        text += String(repeating: " ", count: max(1, 8 - pid.count)) + pid + " " + label + "] " + event.message.description
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
            text += " \(key)=\"\(value)\""
        }
        Flags.printError(text.filter { !$0.isNewline } + "\n")
    }
}
