// From plans to OCI configurations: users, capabilities, mounts, environment, limits. No kernel.
import ClusterModel
import Essentials
import Kernel
import PodRuntime
import Pods
import Testing

private func plan(_ image: JSON = .emptyObject, _ change: (inout PodContainerPlan) -> Void = { _ in }) -> PodContainerPlan {
    var plan = PodContainerPlan(
        podUID: "u", name: "main", attempt: 0,
        image: PulledImage(reference: "x", id: "docker.io/library/x@sha256:0", sizeBytes: 1, configuration: image))
    change(&plan)
    return plan
}

private func configuration(_ plan: PodContainerPlan, _ change: (inout ResolvedContainer) -> Void = { _ in }) -> JSON {
    var resolved = ResolvedContainer(
        root: "/r", user: ContainerUser(user: 1, group: 2, groups: [2, 3]), capabilities: 1 << 10, hostname: "web")
    resolved.fresh = ["mount", "pid", "cgroup"]
    resolved.joined = ["network": "/run/netns/cni-u"]
    change(&resolved)
    return RuntimeConfiguration.make(plan, resolved)
}

@Suite struct ConfigurationTests {
    private let image: JSON = ["Entrypoint": ["/entry"], "Cmd": ["serve", "-v"], "Env": ["A=1", "B=2"], "WorkingDir": "/srv"]

    @Test func commandAndArgumentsTakeTheImagesPlaces() {
        #expect(RuntimeConfiguration.arguments(plan(image)) == ["/entry", "serve", "-v"])
        #expect(RuntimeConfiguration.arguments(plan(image) { $0.arguments = ["x"] }) == ["/entry", "x"])
        #expect(RuntimeConfiguration.arguments(plan(image) { $0.command = ["/other"] }) == ["/other"])
        #expect(
            RuntimeConfiguration.arguments(
                plan(image) {
                    $0.command = ["/other"]
                    $0.arguments = ["y"]
                }) == ["/other", "y"])
    }

    @Test func environmentIsMerged() {
        let environment = RuntimeConfiguration.environment(plan(image) { $0.environment = [("B", "3"), ("C", "4=5")] }, hostname: "web")
        #expect(
            environment == [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=web", "A=1", "B=3", "C=4=5",
            ])
        #expect(RuntimeConfiguration.environment(plan(["Env": ["PATH=/x"]]) { $0.terminal = true }, hostname: "w").contains("TERM=xterm"))
        #expect(RuntimeConfiguration.workingDirectory(plan(image)) == "/srv")
        #expect(RuntimeConfiguration.workingDirectory(plan()) == "/")
    }

    @Test func namespacesAreJoinedMadeOrTheNodes() {
        let namespaces = configuration(plan())["linux"]?["namespaces"]
        #expect(
            namespaces == [
                ["type": "pid"], ["type": "mount"], ["type": "network", "path": "/run/netns/cni-u"], ["type": "cgroup"],
            ])
    }

    @Test func thePlansMountsComeInPlaceOfThePodsAndAfterWhatTheyLieIn() {
        let json = configuration(
            plan {
                $0.mounts = [
                    MountPlan(source: "/v/deep", target: "/data/sub/deep"), MountPlan(source: "/v/data", target: "/data", readOnly: true),
                    MountPlan(source: "/v/hosts", target: "/etc/hosts"),
                ]
                $0.securityContext = ["readOnlyRootFilesystem": true]
            }
        ) {
            $0.podMounts = [MountPlan(source: "/p/hosts", target: "/etc/hosts"), MountPlan(source: "/p/name", target: "/etc/hostname")]
            $0.restrictions = ["/v/deep": ["nodev", "nosuid"]]
        }
        let mounts = json["mounts"]?.array ?? []
        func options(_ target: String) -> JSON? { mounts.first { $0["destination"]?.string == target }?["options"] }
        let sources = mounts.compactMap { $0["source"]?.string }
        #expect(!sources.contains("/p/hosts") && sources.contains("/v/hosts"))
        #expect(options("/etc/hostname") == ["rbind", "rprivate", "ro"])
        #expect(options("/data") == ["rbind", "rprivate", "ro"])
        #expect(options("/data/sub/deep") == ["rbind", "rprivate", "rw", "nodev", "nosuid"])
        let order = mounts.compactMap { $0["destination"]?.string }
        #expect(order.firstIndex(of: "/data")! < order.firstIndex(of: "/data/sub/deep")!)
        #expect(json["root"]?["readonly"] == true)
    }

    @Test func privilegeLiftsMasksAndFilters() {
        let plain = configuration(
            plan { $0.securityContext = ["seccompProfile": ["type": "RuntimeDefault"], "allowPrivilegeEscalation": false] })
        #expect(plain["linux"]?["maskedPaths"] != nil && plain["linux"]?["seccomp"] != nil)
        #expect(plain["process"]?["noNewPrivileges"] == true)
        #expect(plain["process"]?["capabilities"]?["bounding"] == ["CAP_NET_BIND_SERVICE"])
        let free = configuration(plan { $0.securityContext = ["privileged": true, "seccompProfile": ["type": "RuntimeDefault"]] })
        #expect(free["linux"]?["maskedPaths"] == nil && free["linux"]?["readonlyPaths"] == nil && free["linux"]?["seccomp"] == nil)
        #expect(configuration(plan())["linux"]?["seccomp"] == nil)
        #expect(configuration(plan { $0.securityContext = ["procMount": "Unmasked"] })["linux"]?["maskedPaths"] == nil)
    }

    @Test func capabilitiesAreAddedAndDropped() throws {
        func choose(_ json: JSON, bounding: UInt64 = .max) throws -> UInt64 {
            try Capabilities.choose(["capabilities": json], isPrivileged: false, bounding: bounding).get()
        }
        let usual = try choose(.emptyObject)
        #expect(usual.nonzeroBitCount == 14)
        #expect(try choose(["drop": ["ALL"]]) == 0)
        #expect(try choose(["drop": ["ALL"], "add": ["CAP_NET_ADMIN"]]) == 1 << 12)
        #expect(try choose(["add": ["SYS_TIME"], "drop": ["CHOWN"]]) == (usual | 1 << 25) & ~1)
        #expect(try choose(["add": ["ALL"]], bounding: 0xFF) == 0xFF)
        #expect(throws: Capabilities.UnknownCapability(name: "CAP_FLY")) { try choose(["add": ["fly"]]) }
    }

    @Test func limitsBecomeGroupSettings() {
        let limits = GroupLimits(["requests": ["cpu": "250m"], "limits": ["cpu": "1500m", "memory": "64Mi"]])
        #expect(limits.cpuShares == 256 && limits.cpuQuota == 150_000 && limits.memoryBytes == 64 << 20)
        #expect(GroupLimits(.emptyObject).cpuShares == 2 && GroupLimits(.emptyObject).cpuQuota == nil)
        #expect(GroupLimits(["limits": ["cpu": "2"]]).cpuShares == 2048)
        #expect(GroupLimits(["limits": ["cpu": "1m"]]).cpuQuota == 1000)
    }
}

@Suite struct UserTests {
    private let accounts = UserChoice.Accounts(
        passwd: "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/var/www:/bin/false\n",
        group: "root:x:0:\nlogs:x:90:web,other\nshared:x:91:\n")

    @Test func namesAreLookedUpInTheImage() throws {
        func resolve(_ context: JSON, _ user: String) throws -> ContainerUser {
            try UserChoice.resolve(context, imageUser: user, accounts: accounts)
        }
        #expect(try resolve(.emptyObject, "") == ContainerUser(user: 0, group: 0, groups: [0]))
        #expect(try resolve(.emptyObject, "web") == ContainerUser(user: 33, group: 44, groups: [44, 90]))
        #expect(try resolve(.emptyObject, "web:shared") == ContainerUser(user: 33, group: 91, groups: [91, 90]))
        #expect(try resolve(.emptyObject, "1000") == ContainerUser(user: 1000, group: 0, groups: [0]))
        #expect(try resolve(.emptyObject, "7:8") == ContainerUser(user: 7, group: 8, groups: [8]))
        #expect(
            try resolve(["runAsUser": 33, "runAsGroup": 5, "fsGroup": 6, "supplementalGroups": [7, 6]], "root")
                == ContainerUser(user: 33, group: 5, groups: [5, 90, 7, 6]))
        #expect(try resolve(["runAsUser": 33, "supplementalGroupsPolicy": "Strict"], "").groups == [44])
        #expect(throws: PodRuntimeProblem.self) { try resolve(.emptyObject, "nobody-here") }
    }

    @Test func nonRootIsChecked() throws {
        func message(_ context: JSON, _ user: String) -> String? {
            do throws(PodRuntimeProblem) {
                try UserChoice.checkNonRoot(context, imageUser: user, pod: "p_ns(u)", container: "c")
                return nil
            } catch { return error.message }
        }
        #expect(message(.emptyObject, "") == nil)
        #expect(message(["runAsNonRoot": true, "runAsUser": 5], "") == nil)
        #expect(message(["runAsNonRoot": true], "1000:0") == nil)
        #expect(
            message(["runAsNonRoot": true], "") == "container has runAsNonRoot and image will run as root (pod: \"p_ns(u)\", container: c)")
        #expect(
            message(["runAsNonRoot": true], "web")
                == "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root (pod: \"p_ns(u)\", container: c)"
        )
        #expect(
            message(["runAsNonRoot": true, "runAsUser": 0], "5")
                == "container's runAsUser breaks non-root policy (pod: \"p_ns(u)\", container: c)")
    }
}

@Suite struct ImageReferenceTests {
    @Test(arguments: [
        ("alpine", "docker.io/library/alpine:latest"), ("alpine:3.19", "docker.io/library/alpine:3.19"),
        ("me/web", "docker.io/me/web:latest"), ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"), ("localhost/built", "localhost/built:latest"),
        ("index.docker.io/library/x:1", "docker.io/library/x:1"), ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest"),
        ("x@sha256:" + String(repeating: "a", count: 64), "docker.io/library/x@sha256:" + String(repeating: "a", count: 64)),
    ])
    func namesMeanWhatTheyAlwaysDid(text: String, full: String) throws {
        #expect(try ImageReference(text).description == full)
    }

    @Test(arguments: [
        "", ":", "UPPER", "a//b", "-x", "x:", "x:ta/g", "x@sha256:12", "a..b", "x:" + String(repeating: "t", count: 129), "a/_b",
        "ex ample",
    ])
    func othersAreNone(text: String) {
        #expect(throws: ImageReference.Invalid.self) { try ImageReference(text) }
    }

    @Test func theComplaintIsUpstreams() {
        #expect(
            ImageReference.complaint("Nginx:1", .upperCase)
                == "Failed to apply default image tag \"Nginx:1\": couldn't parse image name \"Nginx:1\": invalid reference format: repository name "
                + "(Nginx) must be lowercase")
    }
}
