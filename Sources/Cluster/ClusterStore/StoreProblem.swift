// What can go wrong with the store.
package import Database
internal import Essentials

package enum StoreProblem: Problem, Equatable {
    case exists(key: String)
    case missing(key: String)
    /// Someone else wrote first.
    case changed(key: String)
    /// The revision asked for is no longer known; list again.
    case compacted(oldest: Int64)
    /// The revision asked for is not reached yet.
    case future(current: Int64)
    case overloaded
    case tooLarge(limitBytes: Int)
    case database(DatabaseProblem)
    /// The process that holds the store does not answer. Whether a write was done is not known.
    case unreachable
    /// The process that holds the store has no room on its disk.
    case noSpace
    /// The process that holds the store could not do it.
    case refused(detail: String)

    init(_ error: any Error) {
        self = (error as? StoreProblem) ?? .database((error as? DatabaseProblem) ?? .failed(code: 0, detail: String(describing: error)))
    }

    package var reason: String {
        switch self {
        case .exists: "StoreExists"
        case .missing: "StoreMissing"
        case .changed: "StoreChanged"
        case .compacted: "StoreCompacted"
        case .future: "StoreFuture"
        case .overloaded: "StoreOverloaded"
        case .tooLarge: "StoreTooLarge"
        case .database(let problem): problem.reason
        case .unreachable: "StoreUnreachable"
        case .noSpace: "StoreNoSpace"
        case .refused: "StoreRefused"
        }
    }

    package var message: String {
        switch self {
        case .exists(let key): "\(key) exists already."
        case .missing(let key): "\(key) does not exist."
        case .changed(let key): "\(key) was changed meanwhile. Read it again."
        case .compacted(let oldest): "The history before revision \(oldest) is gone. List again."
        case .future(let current): "The store is at revision \(current) only."
        case .overloaded: "Too many writes wait. Try again."
        case .tooLarge(let limit): "The object is larger than \(limit) bytes."
        case .database(let problem): problem.message
        // As upstream words them; clients look for these.
        case .unreachable: "etcdserver: request timed out"
        case .noSpace: "etcdserver: mvcc: database space exceeded"
        case .refused: "etcdserver: the store could not be written"
        }
    }

    /// Whether the disk has no room left.
    package var isFull: Bool {
        switch self {
        case .database(.full), .noSpace: true
        default: false
        }
    }

    package var cause: String? {
        switch self {
        case .database(let problem): problem.cause
        case .refused(let detail): detail
        default: nil
        }
    }
}
