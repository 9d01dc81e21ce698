// One watch over many kinds, for a program that would otherwise hold a connection for each: a lab's controller manager.
//
// GET /lectern/watch?watch=true&resourceVersion=N&resource=apps/v1/deployments&metadata=v1/secrets. A line is what any watch
// sends, with the resource beside it: {"type":"MODIFIED","resource":"apps/v1/deployments","object":{…}}. Of `metadata` resources
// only what the garbage collector reads is sent, and only when it changes. Not part of Kubernetes; clients must do without it.
internal import ClusterModel
internal import ClusterStore
internal import Essentials

extension APIServer {
    static let bundlePath = "/lectern/watch"

    private struct Member: Sendable {
        let kind: Kind
        let name: String
        let onlyMetadata: Bool
    }

    func watchBundle(_ request: APIRequest) throws(ClusterProblem) -> APIResponse {
        guard request.isAuthorized || request.user.groups.contains("system:masters") else {
            throw ClusterProblem(
                code: 403, reason: "Forbidden", message: "forbidden: User \"\(request.user.name)\" cannot get path \"\(request.path)\"")
        }
        guard request.method == "GET" else { throw .methodNotAllowed() }
        guard let after = try ListPage.revision(request), after > 0 else { throw .badRequest("resourceVersion is required") }
        var members: [String: Member] = [:]
        for (name, value) in request.query where name == "resource" || name == "metadata" {
            let parts = value.split(separator: "/").map(String.init)
            guard parts.count == 2 || parts.count == 3 else { throw .badRequest("not a resource: \(value)") }
            let resource = GroupVersionResource(
                group: parts.count == 3 ? parts[0] : "", version: parts[parts.count - 2], resource: parts[parts.count - 1])
            guard let kind = schema.kind(resource), kind.isStored else { continue }
            if members[kind.storePrefix] == nil || name == "resource" {
                members[kind.storePrefix] = Member(kind: kind, name: value, onlyMetadata: name == "metadata")
            }
        }
        let known = members
        do throws(StoreProblem) {
            let watch: StoreWatch<[UInt8]> = try store.watch(
                prefix: "", after: after,
                failure: { Self.bundleLine("ERROR", nil, ClusterProblem($0, .namespaces, "").status.bytes) },
                transform: { event in Self.member(of: event.object.key, known).flatMap { Self.bundleLine(event, $0) } })
            Self.keepTime(watch.control, seconds: nil, bookmarks: true) { revision in
                let mark: JSON = ["metadata": ["resourceVersion": JSON(String(revision))]]
                return Self.bundleLine("BOOKMARK", nil, mark.bytes)
            }
            return APIResponse(status: 200, headers: Self.jsonHeaders, body: .stream(watch.events))
        } catch {
            throw ClusterProblem(error, .namespaces, "")
        }
    }

    /// Keys begin with `resource/` or `group/resource/`.
    private static func member(of key: String, _ members: [String: Member]) -> Member? {
        guard let first = key.firstIndex(of: "/") else { return nil }
        if let member = members[String(key[...first])] { return member }
        guard let second = key[key.index(after: first)...].firstIndex(of: "/") else { return nil }
        return members[String(key[...second])]
    }

    private static func bundleLine(_ event: StoreEvent, _ member: Member) -> [UInt8]? {
        let type =
            switch event.kind {
            case .created: "ADDED"
            case .modified: "MODIFIED"
            case .deleted: "DELETED"
            }
        guard member.onlyMetadata else {
            let bytes = member.kind.conversion == nil ? event.object.bytes : member.kind.shown(event.object.document).bytes
            return bundleLine(type, member.name, bytes)
        }
        let slim = event.object.document.slimMetadata
        if event.kind == .modified, let before = event.previous?.document.slimMetadata {
            var same = before
            same["metadata"]?["resourceVersion"] = slim["metadata"]?["resourceVersion"]
            if same == slim { return nil }
        }
        return bundleLine(type, member.name, slim.bytes)
    }

    private static func bundleLine(_ type: String, _ resource: String?, _ object: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(object.count + 80)
        bytes.append(contentsOf: "{\"type\":\"\(type)\",".utf8)
        if let resource { bytes.append(contentsOf: "\"resource\":\"\(resource)\",".utf8) }
        bytes.append(contentsOf: "\"object\":".utf8)
        bytes.append(contentsOf: object)
        bytes.append(contentsOf: "}\n".utf8)
        return bytes
    }
}
