// The pages: shells from Public/ with what must be there before any script runs, and the files they load.
internal import Accounts
internal import Essentials
internal import Labs
internal import Web
internal import Workshops

extension Gateway {
    func page(_ request: HTTPRequest, _ segments: [String]) async throws -> HTTPResponse {
        guard request.method == "GET" || request.method == "HEAD" else { throw GatewayProblem.methodNotAllowed("GET, HEAD") }
        switch segments.first {
        case nil: return shell("catalogue.html", for: request, title: "Workshops")
        case "assets":
            let rest = Array(segments.dropFirst())
            let file =
                rest.first == "xterm"
                ? services.xterm.response(Array(rest.dropFirst()), for: request) : services.pages.response(segments, for: request)
            guard let file else { throw GatewayProblem.notFound("There is no such file.") }
            return file
        case "favicon.ico":
            guard let icon = services.pages.response(["assets", "icon.svg"], for: request) else {
                throw GatewayProblem.notFound("There is no such file.")
            }
            return icon
        case "w" where segments.count >= 2: return try lesson(request, segments)
        case "admin" where segments.count == 1:
            guard let visitor = visitor(of: request)?.visitor, visitor.account.role.isStaff else {
                return errorPage(
                    status: 403, title: "This page is for the admin",
                    message: "Run “lectern admin login-link” on the server and open the link it prints.")
            }
            return shell("admin.html", for: request, title: "Admin")
        case "login" where segments.count == 2: return try login(request, token: segments[1])
        default: throw GatewayProblem.notFound("There is no such page. The catalogue lists the workshops.")
        }
    }

    private func lesson(_ request: HTTPRequest, _ segments: [String]) throws -> HTTPResponse {
        let name = segments[1]
        guard let workshop = services.workshops.workshop(named: name) else { throw LabProblem.workshopNotFound(name: name) }
        if segments.count > 3, segments[2] == "files" {
            let path = segments.dropFirst(3).joined(separator: "/")
            guard let file = services.workshops.file(workshop: name, path: path) else {
                throw GatewayProblem.notFound("The workshop has no such file.")
            }
            // A file of an author is only ever an image or a download, never a page of ours.
            return HTTPResponse(
                headers: [
                    "content-type": file.contentType, "cache-control": "no-cache",
                    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
                ], body: .file(path: file.path))
        }
        guard segments.count <= 3, let page = workshop.page(segments.count == 3 ? segments[2] : nil) else {
            if workshop.pages.isEmpty { return shell("lesson.html", for: request, title: workshop.title) }
            throw GatewayProblem.notFound("The workshop has no such page.")
        }
        return shell(
            "lesson.html", for: request, title: page.title == workshop.title ? workshop.title : "\(page.title) · \(workshop.title)",
            lesson: page.html)
    }

    private func login(_ request: HTTPRequest, token: String) throws -> HTTPResponse {
        let session = try services.accounts.useLoginLink(token)
        var response = HTTPResponse(status: 303, headers: ["location": "/admin", "cache-control": "no-store"])
        for cookie in sessionCookies(session.token, for: request) { response.headers.append("set-cookie", cookie) }
        return response
    }

    /// A shell with its title and lesson filled in; sets a new visitor's cookies.
    private func shell(_ name: String, for request: HTTPRequest, title: String, lesson: String = "") -> HTTPResponse {
        guard let text = services.pages.text(name) else {
            return .text("The file \(name) is missing from Public/.\n", status: 500)
        }
        let page = text.filled("<!--lectern:title-->", with: escapedHTML(title)).filled("<!--lectern:lesson-->", with: lesson)
        var response = HTTPResponse.text(page, type: "text/html; charset=utf-8")
        response.headers["cache-control"] = "no-store"
        if visitor(of: request) == nil {
            let fresh = services.accounts.newVisitor()
            for cookie in sessionCookies(fresh.token, for: request) { response.headers.append("set-cookie", cookie) }
        } else if request.headers.cookie(SessionTokens.csrfCookieName) == nil, let token = visitor(of: request)?.visitor.token {
            for cookie in sessionCookies(token, for: request) { response.headers.append("set-cookie", cookie) }
        }
        return response
    }

    func errorPage(status: Int, title: String, message: String) -> HTTPResponse {
        let text = services.pages.text("error.html") ?? "<!doctype html><h1><!--lectern:title--></h1><p><!--lectern:message--></p>"
        var response = HTTPResponse.text(
            text.filled("<!--lectern:title-->", with: escapedHTML(title)).filled("<!--lectern:message-->", with: escapedHTML(message))
                .filled("<!--lectern:hint-->", with: ""), status: status,
            type: "text/html; charset=utf-8")
        response.headers["cache-control"] = "no-store"
        return response
    }
}

func escapedHTML(_ text: String) -> String {
    var result = ""
    for character in text {
        switch character {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        default: result.append(character)
        }
    }
    return result
}

extension String {
    /// Every occurrence of `mark` replaced by `value`.
    func filled(_ mark: String, with value: String) -> String {
        var result = ""
        var rest = self[...]
        while let range = rest.firstRange(of: mark) {
            result += rest[..<range.lowerBound]
            result += value
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
