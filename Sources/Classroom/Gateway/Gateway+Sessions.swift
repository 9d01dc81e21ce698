// Who a request comes from, and whether it may do what it asks.
internal import Accounts
internal import Essentials
internal import Web

extension Gateway {
    /// The visitor of a request, from its cookie or bearer token; `nil` where it has none that is valid.
    func visitor(of request: HTTPRequest) -> (visitor: Visitor, isBearer: Bool)? {
        if let bearer = request.headers["authorization"], bearer.count < 300, bearer.lowercased().hasPrefix("bearer ") {
            let token = String(bearer.dropFirst(7))
            return services.accounts.account(token: token).map { (Visitor(account: $0, token: token), true) }
        }
        guard let token = request.headers.cookie(SessionTokens.cookieName) else { return nil }
        return services.accounts.account(token: token).map { (Visitor(account: $0, token: token), false) }
    }

    /// Lets a request pass to `route`, or throws why not.
    func authorize(_ request: HTTPRequest, _ route: Route) throws -> Visitor {
        let isWrite = request.method != "GET" && request.method != "HEAD"
        guard let (visitor, isBearer) = visitor(of: request) else {
            if route.access == .visitor, !isWrite {
                let fresh = services.accounts.newVisitor()
                return Visitor(account: fresh.account, token: fresh.token, isNew: true)
            }
            throw AccountProblem.noSession
        }
        if isWrite, !isBearer {
            guard originIsOwn(request, whenMissing: true) else { throw AccountProblem.foreignOrigin }
            guard let value = request.headers[SessionTokens.csrfHeaderName],
                services.accounts.tokens.checkCSRF(value, for: visitor.token)
            else { throw AccountProblem.csrf }
        }
        switch route.access {
        case .anyone, .visitor: break
        case .staff: guard visitor.account.role.isStaff else { throw AccountProblem.notAllowed(need: .instructor) }
        case .admin: guard visitor.account.role == .admin else { throw AccountProblem.notAllowed(need: .admin) }
        }
        return visitor
    }

    /// Whether the page that sent the request is ours. Programs send no Origin; browsers always do where it matters.
    func originIsOwn(_ request: HTTPRequest, whenMissing: Bool) -> Bool {
        guard let origin = request.headers["origin"] else { return whenMissing }
        if let publicOrigin = services.publicOrigin { return origin.lowercased() == publicOrigin.lowercased() }
        return origin.lowercased() == "\(request.isSecure ? "https" : "http")://\(request.authority)"
    }

    /// The cookies of a session: the token out of scripts' reach, the CSRF value for the page's own scripts.
    func sessionCookies(_ token: String, for request: HTTPRequest) -> [String] {
        let secure = request.isSecure || services.publicOrigin?.hasPrefix("https:") == true ? "; Secure" : ""
        let age = SessionTokens.lifetimeSeconds
        let csrf = services.accounts.tokens.csrf(for: token)
        return [
            "\(SessionTokens.cookieName)=\(token); Path=/; HttpOnly; SameSite=Lax; Max-Age=\(age)\(secure)",
            "\(SessionTokens.csrfCookieName)=\(csrf); Path=/; SameSite=Lax; Max-Age=\(age)\(secure)",
        ]
    }
}
