// Drives a pod's machine by hand: turns its clock, answers its actions, and reads its status.
import ClusterModel
import Essentials
import Pods

struct MachineDriver {
    var machine: PodMachine
    var now = Moment(wall: Timestamp(seconds: 1_800_000_000), seconds: 1000)
    var notes: [PodNote] = []
    var written: JSON = .null

    init(_ spec: JSON, metadata: JSON = .emptyObject, status: JSON = .null) {
        var pod: JSON = ["apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p", "namespace": "ns", "uid": "u-1"], "spec": spec]
        for (key, value) in metadata.members { pod[path: ["metadata", key]] = value }
        if !status.isNull { pod["status"] = status }
        machine = PodMachine(pod: pod, now: now)
    }

    /// The actions but the notes, which are collected.
    @discardableResult
    mutating func send(_ event: PodEvent) -> [PodAction] {
        var actions: [PodAction] = []
        for action in machine.handle(event, now: now) {
            if case .tell(let note) = action { notes.append(note) } else { actions.append(action) }
        }
        return actions
    }

    @discardableResult
    mutating func pass(_ seconds: Double) -> [PodAction] {
        now = now.later(seconds)
        return send(.tick)
    }

    /// To the sandbox being up; answers with what is to start.
    mutating func bringUp() -> [PodAction] {
        guard send(.observed(machine.pod)) == [.prepare], send(.prepared) == [.startSandbox] else { return [] }
        return send(.sandboxStarted(addresses: ["10.0.0.7"]))
    }

    @discardableResult
    mutating func start(_ name: String, attempt: Int = 0) -> [PodAction] {
        send(.started(container: name, attempt: attempt, id: "id-\(name)-\(attempt)", image: Self.image))
    }

    @discardableResult
    mutating func exit(_ name: String, _ code: Int = 0, attempt: Int = 0) -> [PodAction] {
        send(
            .exited(
                ContainerExit(podUID: "u-1", container: name, attempt: attempt, exitCode: code, finishedAt: now.wall), message: ""))
    }

    @discardableResult
    mutating func delete(grace: Int = 30) -> [PodAction] {
        var pod = machine.pod
        pod[path: ["metadata", "deletionTimestamp"]] = JSON(now.wall.adding(seconds: Int64(grace)).rfc3339)
        pod[path: ["metadata", "deletionGracePeriodSeconds"]] = JSON(grace)
        return send(.observed(pod))
    }

    mutating func status() -> JSON {
        written = machine.status(previous: written, StatusSurroundings(hostAddress: "172.30.0.11"), now: now.wall)
        return written
    }

    mutating func condition(_ type: String) -> JSON { status()["conditions"]?.array?.first { $0["type"]?.string == type } ?? .null }
    mutating func container(_ name: String) -> JSON {
        let status = status()
        return ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"].lazy.flatMap { status[$0]?.array ?? [] }
            .first { $0["name"]?.string == name } ?? .null
    }

    static let image = PulledImage(reference: "alpine", id: "docker.io/library/alpine@sha256:00", sizeBytes: 1, configuration: .emptyObject)
    static let one: JSON = ["containers": [["name": "c", "image": "alpine"]]]
}
