// The gateway's own problems, and how any problem becomes an answer.
internal import Accounts
internal import Essentials
internal import Labs
internal import Logging
internal import Terminals
internal import Web

enum GatewayProblem: Problem, Equatable {
    case badRequest(String)
    case notFound(String)
    case methodNotAllowed(String)
    case unavailable(String)

    var reason: String {
        switch self {
        case .badRequest: "InvalidRequest"
        case .notFound: "NotFound"
        case .methodNotAllowed: "MethodNotAllowed"
        case .unavailable: "Unavailable"
        }
    }

    var message: String {
        switch self {
        case .badRequest(let text), .notFound(let text), .unavailable(let text): text
        case .methodNotAllowed(let methods): "This address takes \(methods) only."
        }
    }
}

/// The HTTP status of each reason. Reasons that are not listed are the server's fault.
private let statusByReason: [String: Int] = [
    "InvalidRequest": 400, "InvalidJSON": 400, "InvalidCap": 422, "NotFound": 404, "LabNotFound": 404, "NodeNotFound": 404,
    "WorkshopNotFound": 404, "WorkshopBroken": 409, "CapReached": 409, "TooManyRequests": 429, "LabNotReady": 409,
    "NoExtensionLeft": 409, "MethodNotAllowed": 405, "NoSession": 401, "NotAllowed": 403, "CSRFTokenMissing": 403, "ForeignOrigin": 403,
    "LoginLinkUsed": 410, "BodyTooLarge": 413, "NodeUnreachable": 503, "AgentUnreachable": 503, "Unavailable": 503, "ShuttingDown": 503,
    "OrchestratorUnavailable": 503, "StorageUnavailable": 503,
]

func jsonResponse(_ value: JSON, status: Int = 200) -> HTTPResponse {
    HTTPResponse(
        status: status, headers: ["content-type": "application/json; charset=utf-8", "cache-control": "no-store"], body: .bytes(value.bytes)
    )
}

extension Gateway {
    /// RFC 9457 for programs, a page for browsers.
    func problemResponse(_ error: any Error, for request: HTTPRequest) -> HTTPResponse {
        let reason: String
        let message: String
        if let problem = error as? any Problem {
            (reason, message) = (problem.reason, problem.message)
        } else {
            (reason, message) = ("InternalError", "Something failed on the server. Its log says what; try again.")
        }
        let status = statusByReason[reason] ?? 500
        if status >= 500 {
            log.error("request failed", metadata: ["path": "\(request.path)", "reason": "\(reason)", "cause": "\(error)"])
        }
        if request.headers["accept"]?.contains("text/html") == true, !request.path.hasPrefix("/api/") {
            return errorPage(status: status, title: title(status), message: message)
        }
        var response = jsonResponse(
            [
                "type": JSON("urn:lectern:problem:" + reason), "title": JSON(title(status)), "status": JSON(status),
                "detail": JSON(message),
                "reason": JSON(reason),
            ], status: status)
        response.headers["content-type"] = "application/problem+json"
        if case .tooManyRequests(let seconds) = error as? LabProblem { response.headers["retry-after"] = String(seconds) }
        return response
    }

    private func title(_ status: Int) -> String {
        switch status {
        case 400: "The request is not valid"
        case 401: "You are not signed in"
        case 403: "This is not allowed"
        case 404: "There is nothing here"
        case 405: "This method is not allowed here"
        case 409: "This cannot be done now"
        case 410: "This is over"
        case 413: "The request is too large"
        case 422: "The values are not valid"
        case 429: "Too many requests"
        case 503: "Not available right now"
        default: "Something failed on the server"
        }
    }
}
