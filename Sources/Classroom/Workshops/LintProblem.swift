// One fault of a workshop: where it is, what it is, and how to repair it.

/// A fault in a workshop's files.
package struct LintProblem: Sendable, Equatable, CustomStringConvertible {
    package enum Severity: String, Sendable, Comparable {
        /// The workshop cannot be used.
        case error
        /// The workshop works, but a learner will stumble here.
        case warning

        package static func < (left: Severity, right: Severity) -> Bool { left == .error && right == .warning }
    }

    /// Relative to the workshop's folder, such as `lesson.md`.
    package var file: String
    /// Counted from 1; 0 where the fault is not on one line.
    package var line: Int
    package var message: String
    /// What to do, as a sentence.
    package var fix: String
    package var severity: Severity

    package init(file: String, line: Int, message: String, fix: String, severity: Severity) {
        self.file = file
        self.line = line
        self.message = message
        self.fix = fix
        self.severity = severity
    }

    /// `lesson.md:12: error: … — …`, as editors and compilers write it.
    package var description: String {
        "\(file)\(line > 0 ? ":\(line)" : ""): \(severity.rawValue): \(message)\(fix.isEmpty ? "" : " — \(fix)")"
    }
}
