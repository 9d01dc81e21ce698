// What every error of Lectern says: a stable reason, a sentence for the person, and a cause for the log.

/// An error that a person or a program can act on.
///
/// `reason` becomes the Kubernetes `Status.reason`, the problem+json `type` and the metric label, so it never changes
/// once released. `message` says what happened and what to do next, and never holds a secret.
package protocol Problem: Error, Sendable, CustomStringConvertible {
    /// A stable word in UpperCamelCase, such as `LabNotFound`.
    var reason: String { get }
    /// What happened and what to do, for the person who asked.
    var message: String { get }
    /// Details for the log only.
    var cause: String? { get }
}

extension Problem {
    package var cause: String? { nil }
    package var description: String { cause.map { "\(reason): \(message) (\($0))" } ?? "\(reason): \(message)" }
}
