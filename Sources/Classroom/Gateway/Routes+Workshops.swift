// Operations on workshops: the catalogue and one lesson.
internal import Essentials
internal import Labs
internal import Web
internal import Workshops

extension Routes {
    static func workshops(_ services: GatewayServices) -> [Route] {
        [
            Route(
                "GET", "/api/v1/workshops", .visitor, "The catalogue.",
                answers: [(200, "The workshops.", Schema.list("workshops", of: "Workshop"))]
            ) { _ in
                jsonResponse(["workshops": JSON(services.workshops.all().map(\.listing))])
            },
            Route(
                "GET", "/api/v1/workshops/{name}", .visitor, "One workshop with its pages as HTML.",
                answers: [(200, "The workshop.", Schema.ref("Workshop"))]
            ) { call in
                let name = call.parameter("name")
                guard let workshop = services.workshops.workshop(named: name) else { throw LabProblem.workshopNotFound(name: name) }
                return jsonResponse(workshop.detail)
            },
        ]
    }
}
