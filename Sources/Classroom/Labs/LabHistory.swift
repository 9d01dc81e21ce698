// Labs that ended, kept for a week so that their owners can read why.
package import Database
package import Essentials
internal import Logging

package protocol LabHistory: Sendable {
    func remember(_ lab: Lab, at moment: Timestamp) async
    func ended(id: String) async -> Lab?
}

/// The history in Lectern's database (table `ended_labs`).
package struct StoredLabHistory: LabHistory {
    package static let keptSeconds: Int64 = 7 * 86_400

    private let database: Database
    private let log = Logger(label: "labs")
    package init(database: Database) { self.database = database }

    package func remember(_ lab: Lab, at moment: Timestamp) async {
        do {
            try database.write {
                try $0.execute(
                    """
                    INSERT INTO ended_labs (id, owner, ended_at, lab) VALUES (?, ?, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, lab = excluded.lab
                    """, .text(lab.id), .text(lab.owner), .integer(moment.seconds), .text(lab.json.text))
                try $0.execute("DELETE FROM ended_labs WHERE ended_at < ?", .integer(moment.seconds - Self.keptSeconds))
            }
        } catch {
            log.error("ended lab not remembered", metadata: ["lab": "\(lab.id)", "cause": "\(error)"])
        }
    }

    package func ended(id: String) async -> Lab? {
        let row = try? database.read { try $0.first("SELECT lab FROM ended_labs WHERE id = ?", .text(id)) }
        return row.flatMap { $0 }.flatMap { try? JSON(parsing: $0.text(0)) }.flatMap(Lab.init(json:))
    }
}

extension Lab {
    /// Reads what `json` wrote.
    package init?(json: JSON) {
        guard let id = json["id"]?.string, let workshop = json["workshop"]?.string, let owner = json["owner"]?.string,
            let state = json["state"]?.string.flatMap(LabState.init(rawValue:)),
            let created = json["createdAt"]?.string.flatMap(Timestamp.init(rfc3339:)),
            let expires = json["expiresAt"]?.string.flatMap(Timestamp.init(rfc3339:))
        else { return nil }
        self.init(
            id: id, workshop: workshop, owner: owner, state: state, reason: json["reason"]?.string ?? "",
            message: json["message"]?.string ?? "", createdAt: created, expiresAt: expires,
            endedAt: json["endedAt"]?.string.flatMap(Timestamp.init(rfc3339:)), extensionsLeft: json["extensionsLeft"]?.int ?? 0,
            queue: nil,
            nodes: (json["nodes"]?.array ?? []).compactMap { node in
                guard let name = node["name"]?.string, let state = node["state"]?.string.flatMap(LabNode.State.init(rawValue:)) else {
                    return nil
                }
                return LabNode(name: name, state: state, message: node["message"]?.string ?? "", address: node["address"]?.string ?? "")
            })
    }
}
