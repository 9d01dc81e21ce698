// Why a request about labs could not be met, in words for the person who asked.
internal import Essentials

package enum LabProblem: Problem, Equatable {
    case labNotFound(id: String)
    case nodeNotFound(lab: String, node: String)
    case workshopNotFound(name: String)
    case workshopBroken(name: String)
    case capReached(rule: String, detail: String)
    case tooManyRequests(retrySeconds: Int)
    case invalidCap(name: String, detail: String)
    case notReady(id: String, state: String)
    case noExtensionLeft(limit: Int)
    case invalidRequest(detail: String)
    case cluster(detail: String)
    case shuttingDown

    package var reason: String {
        switch self {
        case .labNotFound: "LabNotFound"
        case .nodeNotFound: "NodeNotFound"
        case .workshopNotFound: "WorkshopNotFound"
        case .workshopBroken: "WorkshopBroken"
        case .capReached: "CapReached"
        case .tooManyRequests: "TooManyRequests"
        case .invalidCap: "InvalidCap"
        case .notReady: "LabNotReady"
        case .noExtensionLeft: "NoExtensionLeft"
        case .invalidRequest: "InvalidRequest"
        case .cluster: "OrchestratorUnavailable"
        case .shuttingDown: "ShuttingDown"
        }
    }

    package var message: String {
        switch self {
        case .labNotFound(let id): "There is no lab “\(id)” of yours. It may have ended; start the workshop again to get a new one."
        case .nodeNotFound(let lab, let node): "Lab \(lab) has no node “\(node)”."
        case .workshopNotFound(let name): "There is no workshop “\(name)” here. The catalogue lists those there are."
        case .workshopBroken(let name):
            "The workshop “\(name)” cannot be started, since its files have errors. Its author finds them with “lectern lint”."
        case .capReached(let rule, let detail): "The cap “\(rule)” is reached: \(detail)"
        case .tooManyRequests(let seconds): "Too many labs were asked for from here. Wait \(seconds) seconds and try again."
        case .invalidCap(let name, let detail): "The cap “\(name)” was not changed: \(detail)."
        case .notReady(let id, let state): "Lab \(id) is \(state). Wait until it is ready and try again."
        case .noExtensionLeft(let limit): "This lab has been extended \(limit) times, which is all the cap “extensions” allows."
        case .invalidRequest(let detail): detail
        case .cluster: "The orchestrator did not answer as expected. Try again; if it goes on, the server's log says why."
        case .shuttingDown: "The server is shutting down. Try again in a moment."
        }
    }

    package var cause: String? { if case .cluster(let detail) = self { detail } else { nil } }
}
