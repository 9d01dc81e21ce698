// What a Pod says about one of its containers, read once, with upstream's defaults.
internal import ClusterModel
package import Essentials

package struct ContainerSpec: Sendable, Equatable {
    package enum Role: Sendable, Equatable {
        /// Runs to its end before the next begins.
        case initial
        /// Restartable init container: starts in its turn and stays.
        case sidecar
        case main
        case ephemeral
    }

    package var name: String
    package var role: Role
    package var image: String
    package var pullPolicy: String
    package var probes: [ProbeKind: ProbeSpec]
    package var postStart: JSON?
    package var preStop: JSON?
    package var json: JSON

    package init(_ container: JSON, role: Role) {
        name = container["name"]?.string ?? ""
        self.role = role
        image = container["image"]?.string ?? ""
        pullPolicy = container["imagePullPolicy"]?.string ?? (Self.isLatest(image) ? "Always" : "IfNotPresent")
        let ports = container["ports"]?.array ?? []
        probes = [:]
        if role != .initial, role != .ephemeral {
            for (kind, key) in [(ProbeKind.startup, "startupProbe"), (.readiness, "readinessProbe"), (.liveness, "livenessProbe")] {
                if let probe = ProbeSpec(container[key], ports: ports) { probes[kind] = probe }
            }
        }
        postStart = container["lifecycle"]?["postStart"]
        preStop = container["lifecycle"]?["preStop"]
        json = container
    }

    /// As events name it.
    package var fieldPath: String {
        switch role {
        case .initial, .sidecar: "spec.initContainers{\(name)}"
        case .main: "spec.containers{\(name)}"
        case .ephemeral: "spec.ephemeralContainers{\(name)}"
        }
    }

    /// All containers of a pod, in the order in which they start.
    package static func all(of pod: JSON) -> [ContainerSpec] {
        let spec = pod["spec"] ?? .null
        let first = (spec["initContainers"]?.array ?? []).map {
            ContainerSpec($0, role: $0["restartPolicy"]?.string == "Always" ? .sidecar : .initial)
        }
        return first + (spec["containers"]?.array ?? []).map { ContainerSpec($0, role: .main) }
            + (spec["ephemeralContainers"]?.array ?? []).map { ContainerSpec($0, role: .ephemeral) }
    }

    package static func isLatest(_ image: String) -> Bool {
        if image.contains("@") { return false }
        let last = image.split(separator: "/").last ?? ""
        guard let colon = last.lastIndex(of: ":") else { return true }
        return last[last.index(after: colon)...] == "latest"
    }
}

package struct ProbeSpec: Sendable, Equatable {
    package enum Question: Sendable, Equatable {
        case exec([String])
        case http(scheme: String, host: String, port: UInt16, path: String, headers: [[String]])
        case tcp(host: String, port: UInt16)
        case grpc(port: UInt16, service: String)
    }

    package var question: Question
    package var initialDelaySeconds: Double
    package var periodSeconds: Double
    package var timeoutSeconds: Double
    package var successThreshold: Int
    package var failureThreshold: Int
    package var graceSeconds: Int?

    package init?(_ probe: JSON?, ports: [JSON]) {
        guard let probe, !probe.isNull else { return nil }
        if let exec = probe["exec"] {
            question = .exec((exec["command"]?.array ?? []).compactMap(\.string))
        } else if let get = probe["httpGet"] {
            guard let port = Self.port(get["port"], ports) else { return nil }
            let path = get["path"]?.string ?? "/"
            question = .http(
                scheme: (get["scheme"]?.string ?? "HTTP").lowercased(), host: get["host"]?.string ?? "", port: port,
                path: path.hasPrefix("/") ? path : "/" + path,
                headers: (get["httpHeaders"]?.array ?? []).map { [$0["name"]?.string ?? "", $0["value"]?.string ?? ""] })
        } else if let socket = probe["tcpSocket"] {
            guard let port = Self.port(socket["port"], ports) else { return nil }
            question = .tcp(host: socket["host"]?.string ?? "", port: port)
        } else if let grpc = probe["grpc"] {
            guard let port = grpc["port"]?.int.flatMap(UInt16.init(exactly:)) else { return nil }
            question = .grpc(port: port, service: grpc["service"]?.string ?? "")
        } else {
            return nil
        }
        initialDelaySeconds = Double(max(0, probe["initialDelaySeconds"]?.int ?? 0))
        periodSeconds = Double(Self.positive(probe["periodSeconds"], or: 10))
        timeoutSeconds = Double(Self.positive(probe["timeoutSeconds"], or: 1))
        successThreshold = Self.positive(probe["successThreshold"], or: 1)
        failureThreshold = Self.positive(probe["failureThreshold"], or: 3)
        graceSeconds = probe["terminationGracePeriodSeconds"]?.int
    }

    /// A number, or the name of a port of the container.
    package static func port(_ value: JSON?, _ ports: [JSON]) -> UInt16? {
        if let number = value?.int { return UInt16(exactly: number) }
        guard let text = value?.string else { return nil }
        if let number = UInt16(text) { return number }
        return ports.first { $0["name"]?.string == text }?["containerPort"]?.int.flatMap(UInt16.init(exactly:))
    }

    private static func positive(_ value: JSON?, or fallback: Int) -> Int {
        guard let number = value?.int, number > 0 else { return fallback }
        return number
    }
}
