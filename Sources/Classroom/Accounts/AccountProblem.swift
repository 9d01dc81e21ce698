// Why somebody was not let in, in words for that person.
internal import Essentials

package enum AccountProblem: Problem, Equatable {
    case noSession
    case notAllowed(need: Role)
    case csrf
    case foreignOrigin
    case linkUsed
    case storage(detail: String)

    package var reason: String {
        switch self {
        case .noSession: "NoSession"
        case .notAllowed: "NotAllowed"
        case .csrf: "CSRFTokenMissing"
        case .foreignOrigin: "ForeignOrigin"
        case .linkUsed: "LoginLinkUsed"
        case .storage: "StorageUnavailable"
        }
    }

    package var message: String {
        switch self {
        case .noSession: "You have no session here yet, or it has run out. Open the catalogue page once, then try again."
        case .notAllowed(let need):
            "This needs the role “\(need.rawValue)”. An admin gets a login link with “lectern admin login-link” on the server."
        case .csrf:
            "The request did not carry the header X-Lectern-CSRF with the value of the cookie lectern_csrf. Reload the page and try again."
        case .foreignOrigin: "The request came from a page of another site, which may not act for you here."
        case .linkUsed: "This login link was used already or has run out. Make a new one with “lectern admin login-link” on the server."
        case .storage: "The server could not read or write its data. Its log says why; often the disk is full."
        }
    }

    package var cause: String? { if case .storage(let detail) = self { detail } else { nil } }
}
