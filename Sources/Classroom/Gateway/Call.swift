// One request to an operation: who asks, with which parameters, and what stands in its body.
internal import Accounts
internal import Essentials
internal import Labs
internal import Web

/// Who asks: an account and the token that proves it.
struct Visitor: Sendable {
    var account: Account
    var token: String
    /// The session is new: its cookies are to be set with the answer.
    var isNew = false
}

struct Call: Sendable {
    /// The largest JSON body of an operation.
    static let bodyLimitBytes = 64 << 10

    let request: HTTPRequest
    let body: RequestBody
    let parameters: [String: String]
    let visitor: Visitor
    let gateway: Gateway

    var account: Account { visitor.account }

    func parameter(_ name: String) -> String { parameters[name] ?? "" }

    /// The body as a JSON object; no body counts as an empty object.
    func json() async throws -> JSON {
        let bytes = try await body.collect(limitBytes: Self.bodyLimitBytes)
        if bytes.isEmpty { return .emptyObject }
        let value = try JSON(parsing: bytes)
        guard value.object != nil else { throw GatewayProblem.badRequest("The body must be a JSON object.") }
        return value
    }

    /// The lab of the path, where the caller owns it or is staff. Others learn no more than that there is none of theirs.
    func lab() async throws -> Lab {
        let id = parameter("id")
        guard let lab = await gateway.services.labs.find(id), lab.owner == account.id || account.role.isStaff else {
            throw LabProblem.labNotFound(id: id.count <= 40 ? id : String(id.prefix(40)) + "…")
        }
        return lab
    }

    /// The node of the path, ready to be spoken to.
    func node() async throws -> (lab: Lab, node: LabNode) {
        let lab = try await lab()
        let name = parameter("node")
        guard let node = lab.nodes.first(where: { $0.name == name }) else {
            throw LabProblem.nodeNotFound(lab: lab.id, node: name.count <= 40 ? name : String(name.prefix(40)) + "…")
        }
        guard node.state == .ready || node.state == .creating else { throw LabProblem.notReady(id: lab.id, state: lab.state.rawValue) }
        return (lab, node)
    }
}

extension JSON {
    /// A member that must be a string of at most `limit` characters.
    func requiredString(_ name: String, limit: Int = 200) throws(GatewayProblem) -> String {
        guard let text = self[name]?.string, !text.isEmpty, text.count <= limit else {
            throw .badRequest("“\(name)” must be a text of 1 to \(limit) characters.")
        }
        return text
    }

    /// A member that must be a whole number in a range.
    func requiredInt(_ name: String, in range: ClosedRange<Int>) throws(GatewayProblem) -> Int {
        guard let value = self[name]?.int, range.contains(value) else {
            throw .badRequest("“\(name)” must be a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return value
    }
}
