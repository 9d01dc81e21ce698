// What can go wrong with a database, without SQL arguments or values in the text.
internal import Essentials

package enum DatabaseProblem: Problem, Equatable {
    /// The file cannot be opened or is no database.
    case unusable(path: String, detail: String)
    /// The file was written by a newer version of the program.
    case newerVersion(path: String, found: Int, known: Int)
    /// The disk has no room left, or the file reached its limit.
    case full
    /// Another process held the file longer than the busy limit.
    case busy
    /// A constraint of the schema refused a row.
    case constraint(detail: String)
    /// Any other failure; `code` is SQLite's extended result code.
    case failed(code: Int, detail: String)

    package var reason: String {
        switch self {
        case .unusable: "DatabaseUnusable"
        case .newerVersion: "DatabaseNewerVersion"
        case .full: "DatabaseFull"
        case .busy: "DatabaseBusy"
        case .constraint: "DatabaseConstraint"
        case .failed: "DatabaseFailed"
        }
    }

    package var message: String {
        switch self {
        case .unusable(let path, _): "The database \(path) cannot be opened. Check that the file and its folder belong to this program."
        case .newerVersion(let path, let found, let known):
            "The database \(path) was written by a newer version (schema \(found), this one knows \(known)). Update the program or restore a backup."
        case .full: "The disk is full. Free some space; nothing was written."
        case .busy: "Another process holds the database. Try again."
        case .constraint: "The data contradicts what is stored already."
        case .failed: "The database failed. The log has the details."
        }
    }

    package var cause: String? {
        switch self {
        case .unusable(_, let detail), .constraint(let detail): detail
        case .failed(let code, let detail): "\(detail) (SQLite \(code))"
        case .newerVersion, .full, .busy: nil
        }
    }
}
