// Protobuf bodies, written byte by byte.
import ClusterModel
import Essentials
import Testing

@Suite struct ProtobufTests {
    /// Field `number` with a length before its bytes.
    static func bytes(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        varint(UInt64(number << 3 | 2)) + varint(UInt64(content.count)) + content
    }
    static func text(_ number: Int, _ text: String) -> [UInt8] { bytes(number, Array(text.utf8)) }
    static func number(_ field: Int, _ value: UInt64) -> [UInt8] { varint(UInt64(field << 3)) + varint(value) }
    static func varint(_ value: UInt64) -> [UInt8] {
        var value = value
        var result: [UInt8] = []
        while value >= 0x80 {
            result.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        return result + [UInt8(value)]
    }
    static func body(_ kind: String, _ raw: [UInt8]) -> [UInt8] {
        Protobuf.magic + bytes(1, text(1, "v1") + text(2, kind)) + bytes(2, raw) + text(3, "") + text(4, "")
    }
    static func decode(_ body: [UInt8]) throws -> JSON { try Protobuf().decode(body) { Schema.host.kind(apiVersion: $0, kind: $1)?.type } }

    @Test func aPodIsReadByItsNumbers() throws {
        let metadata = Self.text(1, "web") + Self.text(2, "") + Self.bytes(8, []) + Self.bytes(11, Self.text(1, "app") + Self.text(2, "x"))
        let port = Self.text(1, "") + Self.number(2, 0) + Self.number(3, 80) + Self.text(4, "TCP")
        let limit = Self.text(1, "cpu") + Self.bytes(2, Self.text(1, "500m"))
        let probe =
            Self.bytes(1, Self.bytes(2, Self.text(1, "/") + Self.bytes(2, Self.number(1, 1) + Self.text(3, "http")))) + Self.number(3, 0)
        let container =
            Self.text(1, "main") + Self.text(2, "nginx") + Self.text(3, "a") + Self.text(3, "b") + Self.bytes(6, port)
            + Self.bytes(8, Self.bytes(1, limit))
            + Self.bytes(10, probe)
        let volume = Self.text(1, "v") + Self.bytes(2, Self.bytes(19, Self.bytes(1, Self.text(1, "conf")) + Self.number(3, 420)))
        let spec = Self.bytes(1, volume) + Self.bytes(2, container) + Self.number(4, 0) + Self.number(11, 0) + Self.number(37, 0)
        let pod = try Self.decode(Self.body("Pod", Self.bytes(1, metadata) + Self.bytes(2, spec)))
        let expected: JSON = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "web", "labels": ["app": "x"]],
            "spec": [
                "volumes": [["name": "v", "configMap": ["name": "conf", "defaultMode": 420]]],
                "containers": [
                    [
                        "name": "main", "image": "nginx", "command": ["a", "b"], "ports": [["containerPort": 80, "protocol": "TCP"]],
                        "resources": ["limits": ["cpu": "500m"]], "livenessProbe": ["httpGet": ["path": "/", "port": "http"]],
                    ]
                ], "terminationGracePeriodSeconds": 0, "hostUsers": false,
            ],
        ]
        #expect(pod.isSame(as: expected), "\(pod.text)")
    }

    @Test func bytesBecomeBase64AndTimesText() throws {
        let secret = try Self.decode(
            Self.body(
                "Secret",
                Self.bytes(1, Self.text(1, "s") + Self.bytes(8, Self.number(1, 86_400)))
                    + Self.bytes(2, Self.text(1, "k") + Self.bytes(2, [0xFF, 0]))))
        #expect(secret["data"] == ["k": "/wA="])
        #expect(secret["metadata"]?["creationTimestamp"] == "1970-01-02T00:00:00Z")
    }

    @Test func brokenBodiesAreRefused() {
        let whole = Self.body("ConfigMap", Self.bytes(1, Self.text(1, "a")))
        for count in Protobuf.magic.count..<whole.count {
            // Cut anywhere: an error or a shorter document, never a crash.
            _ = try? Self.decode(Array(whole.prefix(count)))
        }
        var random = SeededRandom(seed: 7)
        for _ in 0..<2000 {
            var damaged = whole
            damaged[Int.random(in: 4..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            _ = try? Self.decode(damaged)
        }
        #expect(throws: DecodingFailure.self) { try Self.decode(Self.body("Nonsense", [])) }
        #expect(throws: DecodingFailure.self) { try Self.decode([1, 2, 3, 4]) }
        #expect(throws: DecodingFailure.self) { try Self.decode(Self.body("Pod", Self.number(1, 5))) }
    }
}
