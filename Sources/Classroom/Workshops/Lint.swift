// Reads a workshop as a strict editor would and lists each fault with its file, its line and its repair.

/// The strict reading of a workshop, for `lectern lint`.
package enum Lint {
    /// Every fault of the workshop at `path` (a folder, or a lone Markdown file), sorted by file and line.
    /// - Parameter maximum: the platform's caps; what the workshop asks above them is a fault.
    package static func lint(_ path: String, maximum: RequestedCaps = RequestedCaps()) -> [LintProblem] {
        []
    }
}
