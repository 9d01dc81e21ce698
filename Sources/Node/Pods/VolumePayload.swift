// The files of volumes that the kubelet writes itself: ConfigMaps, Secrets, fields of the Pod, and several of them together.
internal import ClusterModel
package import Essentials

package struct VolumeFile: Sendable, Hashable {
    package var bytes: [UInt8]
    package var mode: UInt32
    package init(bytes: [UInt8], mode: UInt32) {
        self.bytes = bytes
        self.mode = mode
    }
}

/// A token that a projected volume wants.
package struct TokenWish: Sendable, Hashable {
    package var audience: String
    package var seconds: Int
    package var path: String
    package init(audience: String, seconds: Int, path: String) {
        self.audience = audience
        self.seconds = seconds
        self.path = path
    }
}

package enum VolumePayload {
    /// Names of ConfigMaps and Secrets that the volume shows.
    package static func references(_ volume: JSON) -> (configMaps: Set<String>, secrets: Set<String>) {
        var configMaps: Set<String> = []
        var secrets: Set<String> = []
        if let name = volume["configMap"]?["name"]?.string { configMaps.insert(name) }
        if let name = volume["secret"]?["secretName"]?.string { secrets.insert(name) }
        for source in volume["projected"]?["sources"]?.array ?? [] {
            if let name = source["configMap"]?["name"]?.string { configMaps.insert(name) }
            if let name = source["secret"]?["name"]?.string { secrets.insert(name) }
        }
        return (configMaps, secrets)
    }

    package static func tokens(_ volume: JSON) -> [TokenWish] {
        (volume["projected"]?["sources"]?.array ?? []).compactMap { source in
            guard let token = source["serviceAccountToken"] else { return nil }
            return TokenWish(
                audience: token["audience"]?.string ?? "", seconds: token["expirationSeconds"]?.int ?? 3600,
                path: token["path"]?.string ?? "token")
        }
    }

    /// Whether the kubelet writes the volume's files itself.
    package static func isWritten(_ volume: JSON) -> Bool {
        ["configMap", "secret", "downwardAPI", "projected"].contains { volume[$0] != nil }
    }

    /// The files by their relative paths. `tokens` are those that `tokens(_:)` asked for, by path.
    package static func files(
        _ volume: JSON, _ objects: any KeyedObjects, tokens: [String: String], environment: PodEnvironment, containers: [JSON]
    ) throws(PodRuntimeProblem) -> [String: VolumeFile] {
        if let map = volume["configMap"] {
            return try keyed(map, name: map["name"]?.string ?? "", isSecret: false, mode: mode(map), objects)
        }
        if let secret = volume["secret"] {
            return try keyed(secret, name: secret["secretName"]?.string ?? "", isSecret: true, mode: mode(secret), objects)
        }
        if let downward = volume["downwardAPI"] { return try fields(downward, mode: mode(downward), environment, containers) }
        guard let projected = volume["projected"] else { return [:] }
        let usual = mode(projected)
        var files: [String: VolumeFile] = [:]
        for source in projected["sources"]?.array ?? [] {
            var part: [String: VolumeFile] = [:]
            if let map = source["configMap"] {
                part = try keyed(map, name: map["name"]?.string ?? "", isSecret: false, mode: usual, objects)
            } else if let secret = source["secret"] {
                part = try keyed(secret, name: secret["name"]?.string ?? "", isSecret: true, mode: usual, objects)
            } else if let downward = source["downwardAPI"] {
                part = try fields(downward, mode: usual, environment, containers)
            } else if let token = source["serviceAccountToken"] {
                let path = token["path"]?.string ?? "token"
                part[path] = VolumeFile(bytes: Array((tokens[path] ?? "").utf8), mode: usual)
            }
            files.merge(part) { $1 }
        }
        for path in files.keys where !isSafe(path) { throw problem("invalid path \(path)") }
        return files
    }

    private static func keyed(
        _ source: JSON, name: String, isSecret: Bool, mode usual: UInt32, _ objects: any KeyedObjects
    ) throws(PodRuntimeProblem) -> [String: VolumeFile] {
        let isOptional = source["optional"] == true
        guard let data = isSecret ? objects.secret(name) : objects.configMap(name) else {
            if isOptional { return [:] }
            throw problem("\(isSecret ? "secret" : "configmap") \"\(name)\" not found")
        }
        var files: [String: VolumeFile] = [:]
        guard let items = source["items"]?.array, !items.isEmpty else {
            for (key, bytes) in data { files[key] = VolumeFile(bytes: bytes, mode: usual) }
            return files
        }
        for item in items {
            let key = item["key"]?.string ?? ""
            guard let bytes = data[key] else {
                if isOptional { continue }
                throw problem("references non-existent \(isSecret ? "secret" : "config") key: \(key)")
            }
            files[item["path"]?.string ?? key] = VolumeFile(bytes: bytes, mode: item["mode"]?.int.map { UInt32($0) & 0o777 } ?? usual)
        }
        for path in files.keys where !isSafe(path) { throw problem("invalid path \(path)") }
        return files
    }

    private static func fields(
        _ source: JSON, mode usual: UInt32, _ environment: PodEnvironment, _ containers: [JSON]
    ) throws(PodRuntimeProblem) -> [String: VolumeFile] {
        var files: [String: VolumeFile] = [:]
        for item in source["items"]?.array ?? [] {
            let path = item["path"]?.string ?? ""
            guard isSafe(path) else { throw problem("invalid path \(path)") }
            var value: String?
            if let field = item["fieldRef"]?["fieldPath"]?.string {
                value = environment.field(field)
            } else if let resource = item["resourceFieldRef"] {
                let name = resource["containerName"]?.string
                guard let container = containers.first(where: { $0["name"]?.string == name }) else {
                    throw problem("container \(name ?? "") not found")
                }
                value = environment.resource(resource, in: container)
            }
            guard let value else { throw problem("unsupported field of downwardAPI item \(path)") }
            files[path] = VolumeFile(bytes: Array(value.utf8), mode: item["mode"]?.int.map { UInt32($0) & 0o777 } ?? usual)
        }
        return files
    }

    private static func mode(_ source: JSON) -> UInt32 { source["defaultMode"]?.int.map { UInt32($0) & 0o777 } ?? 0o644 }

    /// Relative, and nowhere upwards.
    package static func isSafe(_ path: String) -> Bool {
        !path.isEmpty && !path.hasPrefix("/") && !path.split(separator: "/", omittingEmptySubsequences: false).contains("..")
            && !path.hasPrefix("..")
    }

    static func problem(_ message: String) -> PodRuntimeProblem { PodRuntimeProblem(reason: "FailedMount", message: message) }
}
