// The audit log: one line of JSON a request, at the level of metadata.
package import Access
package import ClusterModel
package import Essentials
internal import Glibc
internal import Synchronization
package import Web

package struct AuditRecord: Sendable {
    package var id: String
    package var request: HTTPRequest
    package var attributes: RequestAttributes
    package var user: UserInfo
    package var status: Int
    package var received: Timestamp

    package init(
        id: String, request: HTTPRequest, attributes: RequestAttributes, user: UserInfo, status: Int, received: Timestamp
    ) {
        self.id = id
        self.request = request
        self.attributes = attributes
        self.user = user
        self.status = status
        self.received = received
    }
}

package final class AuditLog: Sendable {
    /// The file is begun anew, the old one kept beside it, when it is larger.
    private static let fileLimitBytes = 64 << 20
    private static let bufferBytes = 64 << 10

    private struct State {
        var descriptor: Int32
        var written: Int
    }

    private let path: String
    private let policy: AuditPolicy
    private let state: Mutex<State>

    /// `-` is standard output. `nil` where the file cannot be written.
    package init?(path: String, policy: AuditPolicy = AuditPolicy()) {
        self.path = path
        self.policy = policy
        let descriptor = path == "-" ? dup(1) : open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        let size = lseek(descriptor, 0, SEEK_END)
        state = Mutex(State(descriptor: descriptor, written: max(0, Int(size))))
    }

    deinit { state.withLock { _ = close($0.descriptor) } }

    package func record(_ record: AuditRecord, at now: Timestamp) {
        guard policy.logs(record.attributes, record.user) else { return }
        let bytes = Self.line(record, now).bytes + [0x0A]
        state.withLock { state in
            if state.written > Self.fileLimitBytes, path != "-" { rotate(&state) }
            state.written += max(0, write(state.descriptor, bytes, bytes.count))
        }
    }

    private func rotate(_ state: inout State) {
        guard rename(path, path + ".1") == 0 else { return }
        let descriptor = open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        close(state.descriptor)
        state = State(descriptor: descriptor, written: 0)
    }

    private static func line(_ record: AuditRecord, _ now: Timestamp) -> JSON {
        let attributes = record.attributes
        var line: JSON = [
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": JSON(record.id), "stage": "ResponseComplete",
            "requestURI": JSON(record.request.target), "verb": JSON(attributes.verb),
        ]
        var user: JSON = ["username": JSON(record.user.name), "groups": JSON(record.user.groups)]
        if !record.user.uid.isEmpty { user["uid"] = JSON(record.user.uid) }
        line["user"] = user
        line["sourceIPs"] = [JSON(record.request.remoteAddress)]
        if let agent = record.request.headers["user-agent"] { line["userAgent"] = JSON(agent) }
        if attributes.isResource {
            var object: JSON = ["resource": JSON(attributes.resource)]
            for (key, value) in [
                ("namespace", attributes.namespace), ("name", attributes.name), ("apiGroup", attributes.group),
                ("apiVersion", attributes.version), ("subresource", attributes.subresource),
            ] where !value.isEmpty { object[key] = JSON(value) }
            line["objectRef"] = object
        }
        line["responseStatus"] = ["metadata": .emptyObject, "code": JSON(record.status)]
        line["requestReceivedTimestamp"] = JSON(record.received.rfc3339Micro)
        line["stageTimestamp"] = JSON(now.rfc3339Micro)
        return line
    }
}
