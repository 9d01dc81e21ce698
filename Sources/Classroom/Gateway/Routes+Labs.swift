// Operations on labs: make, list, look, extend, end.
internal import Accounts
internal import Essentials
internal import Labs
internal import Web

extension Routes {
    static func labs(_ services: GatewayServices) -> [Route] {
        let lab = Schema.ref("Lab")
        return [
            Route(
                "POST", "/api/v1/labs", .visitor, "Starts a lab for a workshop, or queues it while a cap is reached.",
                body: Schema.object([("workshop", Schema.string)]), answers: [(201, "The lab.", lab)]
            ) { call in
                let workshop = try await call.json().requiredString("workshop", limit: 100)
                let lab = try await services.labs.create(
                    workshop: workshop, owner: call.account.id, address: call.request.remoteAddress, isStaff: call.account.role.isStaff)
                call.gateway.labIndex.note(lab)
                var response = jsonResponse(lab.json, status: 201)
                response.headers["location"] = "/api/v1/labs/\(lab.id)"
                return response
            },
            Route(
                "GET", "/api/v1/labs", .visitor, "My labs; with ?all=1 every lab with its usage (staff).",
                answers: [(200, "The labs.", Schema.list("labs", of: "Lab"))]
            ) { call in
                guard call.request.queryValue("all") == "1" else {
                    return jsonResponse(["labs": JSON(await services.labs.labs(of: call.account.id).map(\.json))])
                }
                guard call.account.role.isStaff else { throw AccountProblem.notAllowed(need: .instructor) }
                let usage = await services.machine.usageByNamespace()
                let now = SystemClock().now()
                return jsonResponse([
                    "labs": JSON(
                        await services.labs.all().map { lab in
                            var value = lab.json
                            value["ageSeconds"] = JSON(max(0, Int(now.since(lab.createdAt))))
                            if let used = usage[lab.namespace] {
                                value["usage"] = [
                                    "memoryBytes": JSON(used.memoryBytes), "cpuSeconds": JSON(used.cpuSeconds),
                                    "diskBytes": JSON(used.diskBytes),
                                ]
                            }
                            return value
                        })
                ])
            },
            Route("GET", "/api/v1/labs/{id}", .visitor, "One lab, also for a week after its end.", answers: [(200, "The lab.", lab)]) {
                call in
                jsonResponse(try await call.lab().json)
            },
            Route("DELETE", "/api/v1/labs/{id}", .visitor, "Ends a lab; its disks are erased.", answers: [(202, "The lab, ending.", lab)]) {
                call in
                let lab = try await call.lab()
                let own = lab.owner == call.account.id
                if !own { services.accounts.audit(who: call.account.id, what: "ended lab \(lab.id) of \(lab.owner)") }
                await services.labs.end(
                    lab.id, reason: own ? "EndedByOwner" : "EndedByStaff",
                    message: own ? "You ended this lab." : "The \(call.account.role.rawValue) ended this lab.")
                return jsonResponse(try await call.lab().json, status: 202)
            },
            Route(
                "POST", "/api/v1/labs/{id}/extend", .visitor, "Adds minutes to a lab's life, as far as the caps allow.",
                body: Schema.object([("minutes", Schema.integer)]), answers: [(200, "The lab.", lab)]
            ) { call in
                let lab = try await call.lab()
                let minutes = try await call.json().requiredInt("minutes", in: 1...43_200)
                if lab.owner != call.account.id {
                    services.accounts.audit(who: call.account.id, what: "extended lab \(lab.id) by \(minutes) minutes")
                }
                return jsonResponse(
                    try await services.labs.extend(lab.id, minutes: minutes, isStaff: call.account.role.isStaff).json)
            },
        ]
    }
}
