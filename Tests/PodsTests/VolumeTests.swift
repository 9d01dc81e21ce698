// Volumes on a folder of the test's own: contents, updates in one step, parts that cannot lead out, and their removal.
import ClusterClient
import ClusterModel
import Essentials
import Kernel
import NodeKubelet
import Pods
import Synchronization
import Testing

@Suite(.serialized) struct VolumeTests {
    private static let canMount: Bool = {
        let folder = "/tmp/lectern-mount-\(Identifier.short())"
        let kernel = LinuxKernel()
        do throws(KernelProblem) {
            try kernel.makeDirectory(folder)
            defer { _ = try? kernel.remove(folder) }
            try VolumeFiles.mountMemory(at: folder, sizeBytes: 4096)
            try kernel.unmount(folder)
            return true
        } catch { return false }
    }()

    private func container(_ mounts: JSON, _ extra: JSON = .emptyObject) -> JSON {
        var container: JSON = ["name": "c", "image": "alpine", "imagePullPolicy": "IfNotPresent", "volumeMounts": mounts]
        for (key, value) in extra.members { container[key] = value }
        return container
    }

    private func source(_ harness: KubeletHarness, _ target: String) -> MountPlan? {
        harness.runtime.container("c")?.plan.mounts.first { $0.target == target }
    }

    @Test func mapsSecretsAndFieldsAreFilesThatFollow() async throws {
        let harness = try await KubeletHarness()
        let kernel = LinuxKernel()
        _ = try await harness.client.create(
            .configMaps, namespace: "default", ["metadata": ["name": "conf"], "data": ["a": "1", "b": "2"]])
        _ = try await harness.client.create(
            .secrets, namespace: "default", ["metadata": ["name": "word"], "data": ["pass": "c2VjcmV0"]])
        try await harness.run { _ in
            try await harness.create(
                "v",
                spec: [
                    "volumes": [
                        ["name": "conf", "configMap": ["name": "conf"]],
                        ["name": "some", "configMap": ["name": "conf", "items": [["key": "a", "path": "x/y", "mode": 0o400]]]],
                        ["name": "word", "secret": ["secretName": "word", "defaultMode": 0o440]],
                        ["name": "empty", "emptyDir": .emptyObject],
                        [
                            "name": "all",
                            "projected": [
                                "sources": [
                                    ["serviceAccountToken": ["path": "token", "expirationSeconds": 3607]],
                                    ["downwardAPI": ["items": [["path": "labels", "fieldRef": ["fieldPath": "metadata.labels"]]]]],
                                    ["configMap": ["name": "absent", "optional": true]],
                                ]
                            ],
                        ],
                    ],
                    "containers": [
                        container([
                            ["name": "conf", "mountPath": "/conf"], ["name": "some", "mountPath": "/some"],
                            ["name": "word", "mountPath": "/word"], ["name": "empty", "mountPath": "/empty"],
                            ["name": "all", "mountPath": "/all"],
                        ])
                    ],
                ], metadata: ["labels": ["app": "v"]])
            try await harness.eventually("v is ready") { await harness.isReady("v") }
            let conf = try #require(source(harness, "/conf"))
            #expect(conf.readOnly)
            #expect(try kernel.readText(conf.source + "/a") == "1")
            #expect(try kernel.readText(try #require(source(harness, "/some")).source + "/x/y") == "1")
            #expect(try kernel.readText(try #require(source(harness, "/word")).source + "/pass") == "secret")
            let all = try #require(source(harness, "/all")).source
            #expect(try kernel.readText(all + "/token") == "token-1")
            #expect(try kernel.readText(all + "/labels") == "app=\"v\"")
            let empty = try #require(source(harness, "/empty"))
            #expect(!empty.readOnly && kernel.isDirectory(empty.source))
            let before = VolumeFiles.readLink(conf.source + "/..data")

            // A change shows, all of it at once.
            _ = try await harness.client.patch(
                .configMaps, namespace: "default", name: "conf", .merge, ["data": ["a": "one", "b": nil, "c": "3"]])
            try await harness.eventually("the file changes") { try kernel.readText(conf.source + "/a") == "one" }
            #expect(VolumeFiles.readLink(conf.source + "/..data") != before)
            #expect(!kernel.exists(conf.source + "/b"))
            #expect(try kernel.readText(conf.source + "/c") == "3")
            _ = try await harness.client.patch(
                .pods, namespace: "default", name: "v", .merge, ["metadata": ["labels": ["app": "w"]]])
            try await harness.eventually("labels follow") { try kernel.readText(all + "/labels") == "app=\"w\"" }
            #expect(harness.wire.tokens.withLock { $0 } == 1, "a token is kept while it is good")

            try await harness.client.delete(.pods, namespace: "default", name: "v")
            try await harness.eventually("it is gone") { await harness.pod("v").isNull }
            #expect(!kernel.exists(conf.source))
        }
    }

    @Test func aVolumeThatCannotBeMadeIsTold() async throws {
        let harness = try await KubeletHarness()
        try await harness.run { _ in
            try await harness.create(
                "late",
                spec: [
                    "volumes": [["name": "v", "configMap": ["name": "late"]]],
                    "containers": [container([["name": "v", "mountPath": "/v"]])],
                ])
            try await harness.create(
                "path",
                spec: [
                    "volumes": [["name": "v", "hostPath": ["path": "/proc/version", "type": "Directory"]]],
                    "containers": [container([["name": "v", "mountPath": "/v"]])],
                ])
            func told(_ pod: String, _ message: String) async throws {
                try await harness.eventually(message) {
                    await harness.events(pod).contains { $0["reason"] == "FailedMount" && $0["message"]?.string == message }
                }
            }
            try await told("late", "MountVolume.SetUp failed for volume \"v\" : configmap \"late\" not found")
            try await told(
                "path", "MountVolume.SetUp failed for volume \"v\" : hostPath type check failed: /proc/version is not a directory")
            #expect(await harness.pod("late")["status"]?["phase"] == "Pending")
            _ = try await harness.client.create(.configMaps, namespace: "default", ["metadata": ["name": "late"], "data": ["k": "v"]])
            try await harness.eventually("it starts") { await harness.isReady("late") }
        }
    }

    @Test(.enabled(if: canMount)) func memoryAndParts() async throws {
        var harness = try await KubeletHarness()
        harness.settings.mountsMemory = true
        let kernel = LinuxKernel()
        let data = harness.folder + "/data"
        try kernel.makeDirectory(data)
        try kernel.makeDirectories(data + "/etc/inside")
        try VolumeFiles.makeLink("/../../etc", at: data + "/evil")
        try await harness.run { [harness] _ in
            try await harness.create(
                "m",
                spec: [
                    "volumes": [
                        ["name": "memory", "emptyDir": ["medium": "Memory", "sizeLimit": "1Mi"]],
                        ["name": "data", "hostPath": ["path": JSON(data)]],
                    ],
                    "containers": [
                        container(
                            [
                                ["name": "memory", "mountPath": "/m"],
                                ["name": "data", "mountPath": "/d", "subPathExpr": "logs/$(NAME)"],
                                ["name": "data", "mountPath": "/e", "subPath": "evil"],
                            ], ["env": [["name": "NAME", "value": "one"]]])
                    ],
                ])
            try await harness.eventually("m is ready") { await harness.isReady("m") }
            let memory = try #require(source(harness, "/m")).source
            #expect(try kernel.usage(ofFileSystem: memory).totalBytes == 1 << 20)
            #expect(kernel.isDirectory(data + "/logs/one"))
            try kernel.write(data + "/logs/one/file", text: "x")
            #expect(try kernel.readText(try #require(source(harness, "/d")).source + "/file") == "x")
            // The link leads to /etc, but no further than the volume's own.
            let evil = try #require(source(harness, "/e")).source
            #expect(try kernel.list(evil) == ["inside"])
            try await harness.client.delete(.pods, namespace: "default", name: "m")
            try await harness.eventually("it is gone") { await harness.pod("m").isNull }
            #expect(try kernel.mounts(below: harness.folder).isEmpty)
            #expect(try kernel.readText(data + "/logs/one/file") == "x", "what belongs to the node stays")
        }
    }
}
