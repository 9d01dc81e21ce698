// Operations on the caller's own session and progress.
internal import Accounts
internal import Essentials
internal import Labs
internal import Web
internal import Workshops

enum Routes {}

extension Routes {
    static func session(_ services: GatewayServices) -> [Route] {
        [
            Route(
                "GET", "/api/v1/session", .visitor, "Who I am, and what the caps allow. Sets the session's cookies.",
                answers: [(200, "The session.", Schema.ref("Session"))]
            ) { call in
                let caps = await services.labs.caps
                var values: JSON = .emptyObject
                for cap in Cap.allCases { values[cap.rawValue] = JSON(caps[cap]) }
                let csrf = services.accounts.tokens.csrf(for: call.visitor.token)
                var response = jsonResponse([
                    "account": [
                        "id": JSON(call.account.id), "name": JSON(call.account.name), "role": JSON(call.account.role.rawValue),
                    ],
                    "caps": values, "portsDomain": JSON(services.portsDomain), "version": JSON(services.version), "csrf": JSON(csrf),
                ])
                for cookie in call.gateway.sessionCookies(call.visitor.token, for: call.request) {
                    response.headers.append("set-cookie", cookie)
                }
                return response
            },
            Route(
                "GET", "/api/v1/progress/{workshop}", .visitor, "What I have done of a workshop.",
                answers: [(200, "The state as it was put; an empty object at first.", ["type": "object"])]
            ) { call in
                let text = try services.accounts.progress(account: call.account.id, workshop: call.parameter("workshop"))
                return jsonResponse(try text.map { try JSON(parsing: $0) } ?? .emptyObject)
            },
            Route(
                "PUT", "/api/v1/progress/{workshop}", .visitor, "Remembers what I have done of a workshop.", body: ["type": "object"],
                answers: [(204, "Remembered.", nil)]
            ) { call in
                let name = call.parameter("workshop")
                guard services.workshops.workshop(named: name) != nil else { throw LabProblem.workshopNotFound(name: name) }
                let text = try await call.json().text
                guard text.utf8.count <= Accounts.progressLimitBytes else {
                    throw GatewayProblem.badRequest("Progress may be at most \(Accounts.progressLimitBytes >> 10) KiB.")
                }
                try services.accounts.setProgress(account: call.account.id, workshop: name, state: text)
                return HTTPResponse(status: 204)
            },
        ]
    }
}
