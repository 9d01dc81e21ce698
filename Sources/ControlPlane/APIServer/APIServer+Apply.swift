// Server-side apply: a client says what it wants of an object, and answers for just that.
internal import ClusterModel
internal import Essentials

extension APIServer {
    /// A longer name of a manager is cut, as upstream does.
    private static let managerLimitBytes = 128

    /// Who writes, as `managedFields` records it: what the request says, or the program that sent it.
    func fieldWriter(_ request: APIRequest, _ target: ResourceTarget, isApply: Bool) -> FieldWriter {
        var name = request.queryValue("fieldManager") ?? ""
        if name.isEmpty {
            let program = (request.header("user-agent") ?? request.user.name).prefix { $0 != "/" }
            name = String(decoding: Array(program.utf8.prefix(Self.managerLimitBytes)), as: UTF8.self)
        }
        return FieldWriter(
            manager: name.isEmpty ? "unknown" : name, isApply: isApply, apiVersion: target.kind.apiVersion,
            subresource: target.subresource ?? "")
    }

    static func checkApplied(_ configuration: JSON) throws(ClusterProblem) {
        if !(configuration["metadata"]?["managedFields"] ?? .null).isNull {
            throw .badRequest("metadata.managedFields must be nil")
        }
    }

    func apply(
        _ patch: JSON, _ request: APIRequest, _ target: ResourceTarget, _ validation: FieldValidation
    ) async throws(ClusterProblem) -> APIResponse {
        let kind = target.kind
        var decoded = try decode(patch, as: kind, validation)
        try Self.checkApplied(decoded.object)
        if decoded.object.metaName.isEmpty { decoded.object["metadata"]?["name"] = JSON(target.name) }
        guard decoded.object.metaName == target.name ?? "" else {
            throw .badRequest(
                "the name of the object (\(decoded.object.metaName)) does not match the name on the URL (\(target.name ?? ""))")
        }
        let force = ["true", "1"].contains(request.queryValue("force") ?? "")
        let stored = schema.stored(kind)
        let manager = FieldManager(table: schema.types, type: stored.type)
        let writer = fieldWriter(request, target, isApply: true)
        let configuration = kind.storable(decoded.object, as: stored)
        let now = clock.now()
        return try await replace(
            request, target, warnings: decoded.warnings, retries: configuration.metaResourceVersion.isEmpty, isApply: true
        ) { (old) throws(ClusterProblem) in
            do throws(ApplyConflicts) {
                return try manager.apply(configuration, to: old, by: writer, force: force, at: now)
            } catch {
                throw ClusterProblem(
                    code: 409, reason: "Conflict", message: error.message,
                    causes: error.conflicts.map {
                        FieldCause(reason: "FieldManagerConflict", field: $0.path, message: "conflict with \($0.manager)")
                    })
            }
        }
    }
}
