// Errors of the Kubernetes API: a `Status` with upstream's reasons, codes and wording.
package import Essentials

/// One field that a validation refuses.
package struct FieldCause: Sendable, Equatable {
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldValueNotSupported`, …
    package var reason: String
    /// `spec.containers[0].image`
    package var field: String
    /// The whole text for the person, without the field.
    package var message: String
    package init(reason: String, field: String, message: String) {
        self.reason = reason
        self.field = field
        self.message = message
    }
}

/// An answer that is no success, as `metav1.Status` describes it.
package struct ClusterProblem: Problem, Equatable {
    /// The HTTP status.
    package var code: Int
    /// A stable word such as `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, `Expired`.
    package var reason: String
    package var message: String
    /// What `details` names.
    package var group = ""
    package var kind = ""
    package var name = ""
    package var causes: [FieldCause] = []
    package var retryAfterSeconds: Int?

    package init(
        code: Int, reason: String, message: String, group: String = "", kind: String = "", name: String = "", causes: [FieldCause] = [],
        retryAfterSeconds: Int? = nil
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.group = group
        self.kind = kind
        self.name = name
        self.causes = causes
        self.retryAfterSeconds = retryAfterSeconds
    }
}

extension ClusterProblem {
    package var isNotFound: Bool { reason == "NotFound" }
    package var isAlreadyExists: Bool { reason == "AlreadyExists" }
    package var isConflict: Bool { reason == "Conflict" }
    package var isExpired: Bool { code == 410 }
    package var isInvalid: Bool { reason == "Invalid" }
    package var isForbidden: Bool { reason == "Forbidden" }

    package static func notFound(_ resource: GroupVersionResource, _ name: String) -> ClusterProblem {
        ClusterProblem(
            code: 404, reason: "NotFound", message: "\(resource) \"\(name)\" not found", group: resource.group, kind: resource.resource,
            name: name)
    }

    package static let noSuchPath = ClusterProblem(
        code: 404, reason: "NotFound", message: "the server could not find the requested resource")

    package static func alreadyExists(_ resource: GroupVersionResource, _ name: String) -> ClusterProblem {
        ClusterProblem(
            code: 409, reason: "AlreadyExists", message: "\(resource) \"\(name)\" already exists", group: resource.group,
            kind: resource.resource,
            name: name)
    }

    package static func conflict(
        _ resource: GroupVersionResource, _ name: String,
        _ why: String = "the object has been modified; please apply your changes to the latest version and try again"
    ) -> ClusterProblem {
        ClusterProblem(
            code: 409, reason: "Conflict", message: "Operation cannot be fulfilled on \(resource) \"\(name)\": \(why)",
            group: resource.group,
            kind: resource.resource, name: name)
    }

    package static func forbidden(_ resource: GroupVersionResource, _ name: String, _ why: String) -> ClusterProblem {
        ClusterProblem(
            code: 403, reason: "Forbidden", message: "\(resource)\(name.isEmpty ? "" : " \"\(name)\"") is forbidden: \(why)",
            group: resource.group,
            kind: resource.resource, name: name)
    }

    package static func badRequest(_ message: String) -> ClusterProblem {
        ClusterProblem(code: 400, reason: "BadRequest", message: message)
    }

    package static func expired(_ message: String = "The resourceVersion for the provided watch is too old.") -> ClusterProblem {
        ClusterProblem(code: 410, reason: "Expired", message: message)
    }

    package static func methodNotAllowed() -> ClusterProblem {
        ClusterProblem(code: 405, reason: "MethodNotAllowed", message: "the server does not allow this method on the requested resource")
    }

    package static func unsupportedMediaType(_ message: String) -> ClusterProblem {
        ClusterProblem(code: 415, reason: "UnsupportedMediaType", message: message)
    }

    package static func internalError(_ message: String) -> ClusterProblem {
        ClusterProblem(code: 500, reason: "InternalError", message: "Internal error occurred: \(message)")
    }

    package static func unavailable(_ message: String, retryAfterSeconds: Int? = 1) -> ClusterProblem {
        ClusterProblem(code: 503, reason: "ServiceUnavailable", message: message, retryAfterSeconds: retryAfterSeconds)
    }

    package static func tooManyRequests(_ message: String, retryAfterSeconds: Int = 1) -> ClusterProblem {
        ClusterProblem(code: 429, reason: "TooManyRequests", message: message, retryAfterSeconds: retryAfterSeconds)
    }

    /// 422 with one cause a field, as `NewInvalid` words it.
    package static func invalid(group: String, kind: String, name: String, _ causes: [FieldCause]) -> ClusterProblem {
        let texts = causes.map { "\($0.field): \($0.message)" }
        let joined = texts.count == 1 ? texts[0] : "[" + texts.joined(separator: ", ") + "]"
        let subject = group.isEmpty ? kind : kind + "." + group
        return ClusterProblem(
            code: 422, reason: "Invalid", message: "\(subject) \"\(name)\" is invalid: \(joined)", group: group, kind: kind, name: name,
            causes: causes)
    }
}

extension ClusterProblem {
    /// The `Status` document.
    package var status: JSON {
        var details: JSON = .emptyObject
        if !name.isEmpty { details["name"] = JSON(name) }
        if !group.isEmpty { details["group"] = JSON(group) }
        if !kind.isEmpty { details["kind"] = JSON(kind) }
        if !causes.isEmpty {
            details["causes"] = .array(causes.map { ["reason": JSON($0.reason), "message": JSON($0.message), "field": JSON($0.field)] })
        }
        if let retryAfterSeconds { details["retryAfterSeconds"] = JSON(retryAfterSeconds) }
        var status: JSON = [
            "kind": "Status", "apiVersion": "v1", "metadata": .emptyObject, "status": "Failure", "message": JSON(message),
            "reason": JSON(reason),
        ]
        if details != .emptyObject { status["details"] = details }
        status["code"] = JSON(code)
        return status
    }

    /// Reads a `Status`, or makes the best of another answer of `httpStatus`.
    package init(status: JSON, httpStatus: Int) {
        let details = status["details"] ?? .null
        self.init(
            code: status["code"]?.int ?? httpStatus, reason: status["reason"]?.string ?? "Unknown",
            message: status["message"]?.string ?? "the server answered with status \(httpStatus)", group: details["group"]?.string ?? "",
            kind: details["kind"]?.string ?? "", name: details["name"]?.string ?? "",
            causes: (details["causes"]?.array ?? []).map {
                FieldCause(reason: $0["reason"]?.string ?? "", field: $0["field"]?.string ?? "", message: $0["message"]?.string ?? "")
            }, retryAfterSeconds: details["retryAfterSeconds"]?.int)
    }
}
