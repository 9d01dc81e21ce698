// What happens to a pod and what is to be done about it: the words between the machine that decides and the worker that acts.
package import Essentials

package enum ProbeKind: String, Sendable, Hashable, CaseIterable {
    case startup = "Startup"
    case readiness = "Readiness"
    case liveness = "Liveness"
}

package enum HookKind: Sendable, Hashable { case postStart, preStop }

package enum ProbeAnswer: Sendable, Hashable {
    case success
    case failure(String)
}

/// Why a container did not come up.
package struct StartRefusal: Sendable, Hashable {
    /// `ErrImagePull`, `CreateContainerConfigError`, `RunContainerError`, …
    package var reason: String
    package var message: String
    package init(reason: String, message: String) {
        self.reason = reason
        self.message = message
    }
}

package enum PodEvent: Sendable {
    /// The Pod is here, or is another than before.
    case observed(JSON)
    /// Nobody wants the pod any more: the API has no such object, or the manifest is gone.
    case vanished
    /// Found after a restart of the kubelet; `status` is what the API last knew.
    case adopted(FoundSandbox, status: JSON)
    /// The volumes are mounted.
    case prepared
    case notPrepared(reason: String, message: String)
    case sandboxStarted(addresses: [String])
    case sandboxRefused(reason: String, message: String)
    case started(container: String, attempt: Int, id: String, image: PulledImage)
    case refused(container: String, attempt: Int, StartRefusal)
    case exited(ContainerExit, message: String)
    case probed(container: String, attempt: Int, ProbeKind, ProbeAnswer)
    /// `failure` is empty where the hook did what it should.
    case hookEnded(container: String, attempt: Int, HookKind, failure: String)
    case sandboxRemoved
    case removalFailed
    /// The node needs its room back.
    case evicted(reason: String, message: String)
    /// Not to be run here at all.
    case rejected(reason: String, message: String)
    /// What it waits for may have come: try now.
    case again
    case tick
}

package enum PodAction: Sendable, Equatable {
    case prepare
    case startSandbox
    case start(container: String, attempt: Int)
    case probe(container: String, attempt: Int, ProbeKind)
    case runHook(container: String, attempt: Int, HookKind)
    case signal(container: String, Int32)
    /// Frees what an ended container left.
    case discard(container: String, attempt: Int, keepLog: Bool)
    /// Kills what is left, frees network and volumes. With `logs`, its logs too.
    case remove(logs: Bool)
    /// The object may go from the API.
    case forget
    case tell(PodNote)
}

/// An Event to be recorded.
package struct PodNote: Sendable, Hashable {
    package var type: String
    package var reason: String
    package var message: String
    /// `spec.containers{name}`, or empty for the whole pod.
    package var fieldPath: String
    package init(type: String, reason: String, message: String, fieldPath: String = "") {
        self.type = type
        self.reason = reason
        self.message = message
        self.fieldPath = fieldPath
    }
    package static func normal(_ reason: String, _ message: String, at path: String = "") -> PodNote {
        PodNote(type: "Normal", reason: reason, message: message, fieldPath: path)
    }
    package static func warning(_ reason: String, _ message: String, at path: String = "") -> PodNote {
        PodNote(type: "Warning", reason: reason, message: message, fieldPath: path)
    }
}
