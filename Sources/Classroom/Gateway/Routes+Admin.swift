// Operations of admins: the machine, the caps, login links.
internal import Accounts
internal import Essentials
internal import Labs
internal import Web

extension Routes {
    static func admin(_ services: GatewayServices) -> [Route] {
        [
            Route(
                "GET", "/api/v1/admin/overview", .staff, "The machine's load, the caps in force and the latest audit entries.",
                answers: [(200, "The overview.", ["type": "object"])]
            ) { call in
                let machine = await services.machine.load()
                let labs = await services.labs.all()
                let caps = await services.labs.caps
                let committed = labs.reduce(Int64(0)) { $0 + Int64($1.nodes.count * caps[.memoryMiBPerNode]) << 20 }
                return jsonResponse([
                    "labs": JSON(labs.count { $0.state != .queued }), "queued": JSON(labs.count { $0.state == .queued }),
                    "nodes": JSON(labs.reduce(0) { $0 + $1.nodes.count }), "load": .array(machine.load.map(JSON.number)),
                    "memory": [
                        "totalBytes": JSON(machine.memoryTotalBytes), "usedBytes": JSON(machine.memoryUsedBytes),
                        "committedBytes": JSON(committed), "serverBytes": JSON(machine.serverMemoryBytes),
                    ],
                    "cpu": ["count": JSON(machine.cpuCount), "percent": JSON(machine.cpuPercent)],
                    "disk": ["totalBytes": JSON(machine.diskTotalBytes), "freeBytes": JSON(machine.diskFreeBytes)],
                    "caps": capsJSON(caps),
                    "audit": JSON(
                        try services.accounts.auditTrail(limit: 100).map {
                            ["at": JSON($0.at.rfc3339), "who": JSON($0.who), "what": JSON($0.what)]
                        }),
                ])
            },
            Route(
                "PUT", "/api/v1/admin/caps", .admin, "Changes caps. They hold for new labs at once, and survive a restart.",
                body: ["type": "object", "additionalProperties": Schema.integer], answers: [(200, "The caps in force.", ["type": "object"])]
            ) { call in
                let input = try await call.json()
                var caps = await services.labs.caps
                var said: [String] = []
                for (name, value) in input.members {
                    guard let cap = Cap(rawValue: name) else {
                        throw LabProblem.invalidCap(name: String(name.prefix(60)), detail: "there is no cap of that name")
                    }
                    guard let number = value.int else { throw LabProblem.invalidCap(name: name, detail: "it must be a whole number") }
                    if caps[cap] != number { said.append("\(name) from \(caps[cap]) to \(number)") }
                    try caps.set(cap, to: number)
                }
                for (name, value) in input.members { try services.accounts.setSetting("cap." + name, to: String(value.int ?? 0)) }
                await services.labs.setCaps(caps)
                if !said.isEmpty { services.accounts.audit(who: call.account.id, what: "changed caps: " + said.joined(separator: ", ")) }
                return jsonResponse(capsJSON(caps))
            },
            Route(
                "POST", "/api/v1/admin/login-links", .admin, "A link that signs somebody in once, with a role.",
                body: Schema.object([("role", ["type": "string", "enum": ["instructor", "admin"]])], required: []),
                answers: [(201, "The link.", Schema.object([("url", Schema.string)]))]
            ) { call in
                let name = try await call.json()["role"]?.string ?? "instructor"
                guard let role = Role(rawValue: name), role.isStaff else {
                    throw GatewayProblem.badRequest("“role” must be instructor or admin.")
                }
                let token = try services.accounts.makeLoginLink(role: role, by: call.account.id)
                let origin = services.publicOrigin ?? "\(call.request.isSecure ? "https" : "http")://\(call.request.authority)"
                return jsonResponse(["url": JSON("\(origin)/login/\(token)")], status: 201)
            },
        ]
    }

    static func capsJSON(_ caps: Caps) -> JSON {
        var value: JSON = .emptyObject
        for cap in Cap.allCases {
            let row = cap.row
            value[cap.rawValue] = [
                "value": JSON(caps[cap]), "unit": JSON(row.unit), "min": JSON(row.range.lowerBound), "max": JSON(row.range.upperBound),
                "default": JSON(row.standard), "doc": JSON(row.doc),
            ]
        }
        return value
    }
}
