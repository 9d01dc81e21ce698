// What a lab is to those who ask for it: its state, its nodes and its time.
package import Essentials

/// The life of a lab, from waiting for a place to its end.
package enum LabState: String, Sendable {
    case queued, creating, ready, ending, ended, failed
}

/// One node of a lab as its owner sees it.
package struct LabNode: Sendable, Equatable {
    package enum State: String, Sendable { case creating, ready, failed, gone }
    package var name: String
    package var state: State
    package var message: String
    package var address: String

    package init(name: String, state: State, message: String, address: String) {
        self.name = name
        self.state = state
        self.message = message
        self.address = address
    }
}

/// Where a waiting lab stands.
package struct QueuePlace: Sendable, Equatable {
    package var position: Int
    package var estimateSeconds: Int?
    package var rule: String

    package init(position: Int, estimateSeconds: Int?, rule: String) {
        self.position = position
        self.estimateSeconds = estimateSeconds
        self.rule = rule
    }
}

/// A learner's cluster for one workshop.
package struct Lab: Sendable, Equatable {
    package var id: String
    package var workshop: String
    package var owner: String
    package var state: LabState
    package var reason: String
    package var message: String
    package var createdAt: Timestamp
    package var expiresAt: Timestamp
    package var endedAt: Timestamp?
    package var extensionsLeft: Int
    package var queue: QueuePlace?
    package var nodes: [LabNode]

    package var namespace: String { Lab.namespace(of: id) }
    package static func namespace(of id: String) -> String { "lab-" + id }
}

extension Lab {
    package var json: JSON {
        var value: JSON = [
            "id": JSON(id), "workshop": JSON(workshop), "owner": JSON(owner), "state": JSON(state.rawValue), "reason": JSON(reason),
            "message": JSON(message), "createdAt": JSON(createdAt.rfc3339), "expiresAt": JSON(expiresAt.rfc3339),
            "extensionsLeft": JSON(extensionsLeft),
            "nodes": .array(
                nodes.map {
                    [
                        "name": JSON($0.name), "state": JSON($0.state.rawValue), "message": JSON($0.message), "address": JSON($0.address),
                        "terminals": .array(["1"]),
                    ]
                }),
        ]
        if let endedAt { value["endedAt"] = JSON(endedAt.rfc3339) }
        if let queue {
            value["queue"] = ["position": JSON(queue.position), "estimateSeconds": JSON(queue.estimateSeconds), "rule": JSON(queue.rule)]
        }
        return value
    }
}

/// What a workshop asks of its labs.
package struct LabSpec: Sendable, Equatable {
    package var workshop: String
    package var nodes: Int
    package var image: String
    package var lifetimeMinutes: Int?
    package var memoryMiBPerNode: Int?
    package var cpuMillisPerNode: Int?
    package var pidsPerNode: Int?
    package var diskMiBPerNode: Int?
    package var egress: Bool
    /// `classic`: kubectl of the nodes understands what lessons of 2017 say.
    package var kubernetes: String?

    package init(
        workshop: String, nodes: Int, image: String = "lectern/node", lifetimeMinutes: Int? = nil, memoryMiBPerNode: Int? = nil,
        cpuMillisPerNode: Int? = nil, pidsPerNode: Int? = nil, diskMiBPerNode: Int? = nil, egress: Bool = false,
        kubernetes: String? = nil
    ) {
        self.workshop = workshop
        self.nodes = nodes
        self.image = image
        self.lifetimeMinutes = lifetimeMinutes
        self.memoryMiBPerNode = memoryMiBPerNode
        self.cpuMillisPerNode = cpuMillisPerNode
        self.pidsPerNode = pidsPerNode
        self.diskMiBPerNode = diskMiBPerNode
        self.egress = egress
        self.kubernetes = kubernetes
    }

    /// The spec with the caps applied, or the cap that it asks more than.
    package func fitted(to caps: Caps) throws(LabProblem) -> LabSpec {
        func fit(_ asked: Int?, _ cap: Cap) throws(LabProblem) -> Int {
            guard let asked else { return caps[cap] }
            guard asked <= caps[cap] else {
                throw .capReached(
                    rule: cap.rawValue,
                    detail: "this workshop asks for \(asked) \(cap.row.unit), and \(caps[cap]) are allowed. An admin can raise the cap.")
            }
            return asked
        }
        var fitted = self
        fitted.nodes = try fit(nodes, .nodesPerLab)
        fitted.memoryMiBPerNode = try fit(memoryMiBPerNode, .memoryMiBPerNode)
        fitted.cpuMillisPerNode = try fit(cpuMillisPerNode, .cpuMillisPerNode)
        fitted.pidsPerNode = try fit(pidsPerNode, .pidsPerNode)
        fitted.diskMiBPerNode = try fit(diskMiBPerNode, .diskMiBPerNode)
        fitted.lifetimeMinutes =
            try lifetimeMinutes.map { asked throws(LabProblem) in try fit(asked, .labLifetimeMaximumMinutes) }
            ?? min(caps[.labLifetimeMinutes], caps[.labLifetimeMaximumMinutes])
        return fitted
    }
}
