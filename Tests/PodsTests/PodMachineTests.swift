// A pod's life, decision by decision: starts, restarts, probes, hooks and ends.
import ClusterModel
import Essentials
import Pods
import Testing

@Suite struct PodMachineTests {
    @Test func volumesThenSandboxThenContainers() {
        var driver = MachineDriver(MachineDriver.one)
        #expect(driver.bringUp() == [.start(container: "c", attempt: 0)])
        #expect(driver.status()["phase"] == "Pending")
        #expect(driver.container("c")["state"]?["waiting"]?["reason"] == "ContainerCreating")
        driver.start("c")
        #expect(driver.status()["phase"] == "Running")
        #expect(driver.container("c")["ready"] == true)
        #expect(driver.container("c")["started"] == true)
        #expect(driver.container("c")["image"] == "docker.io/library/alpine:latest")
        #expect(driver.condition("Ready")["status"] == "True")
        #expect(driver.condition("PodReadyToStartContainers")["status"] == "True")
        #expect(driver.status()["podIP"] == "10.0.0.7")
    }

    @Test func initContainersComeOneAfterAnother() {
        var driver = MachineDriver([
            "initContainers": [["name": "a", "image": "i"], ["name": "b", "image": "i"]],
            "containers": [["name": "c", "image": "i"]],
        ])
        #expect(driver.bringUp() == [.start(container: "a", attempt: 0)])
        #expect(driver.start("a") == [])
        #expect(driver.condition("Initialized")["reason"] == "ContainersNotInitialized")
        #expect(driver.condition("Initialized")["message"] == "containers with incomplete status: [a b]")
        #expect(driver.container("c")["state"]?["waiting"]?["reason"] == "PodInitializing")
        #expect(driver.exit("a") == [.start(container: "b", attempt: 0)])
        driver.start("b")
        #expect(driver.exit("b") == [.start(container: "c", attempt: 0)])
        driver.start("c")
        #expect(driver.condition("Initialized")["status"] == "True")
        #expect(driver.status()["phase"] == "Running")
    }

    @Test func sidecarsStartInTurnAndEndLast() {
        var driver = MachineDriver([
            "initContainers": [["name": "s", "image": "i", "restartPolicy": "Always"], ["name": "a", "image": "i"]],
            "containers": [["name": "c", "image": "i"]],
        ])
        #expect(driver.bringUp() == [.start(container: "s", attempt: 0)])
        #expect(driver.start("s") == [.start(container: "a", attempt: 0)])
        driver.start("a")
        #expect(driver.exit("a") == [.start(container: "c", attempt: 0)])
        driver.start("c")
        #expect(driver.delete() == [.signal(container: "c", 15)])
        #expect(driver.exit("c") == [.signal(container: "s", 15)])
        #expect(driver.exit("s") == [.remove(logs: true)])
    }

    @Test func aSidecarDoesNotKeepAJobAlive() {
        var driver = MachineDriver([
            "restartPolicy": "Never",
            "initContainers": [["name": "s", "image": "i", "restartPolicy": "Always"]], "containers": [["name": "c", "image": "i"]],
        ])
        _ = driver.bringUp()
        #expect(driver.start("s") == [.start(container: "c", attempt: 0)])
        driver.start("c")
        #expect(driver.exit("c") == [.signal(container: "s", 15)])
        #expect(driver.exit("s", 143) == [.remove(logs: false)])
        driver.send(.sandboxRemoved)
        #expect(driver.status()["phase"] == "Succeeded")
        #expect(driver.condition("Ready")["reason"] == "PodCompleted")
    }

    @Test func crashesBackOffAndSaySo() {
        var driver = MachineDriver(MachineDriver.one)
        _ = driver.bringUp()
        driver.start("c")
        // At once the first time, then 10 s, 20 s, …
        #expect(driver.exit("c", 1).contains(.start(container: "c", attempt: 1)))
        driver.start("c", attempt: 1)
        #expect(driver.container("c")["restartCount"] == 1)
        #expect(driver.container("c")["lastState"]?["terminated"]?["exitCode"] == 1)
        #expect(driver.exit("c", 1, attempt: 1) == [])
        #expect(driver.container("c")["state"]?["waiting"]?["reason"] == "CrashLoopBackOff")
        #expect(
            driver.container("c")["state"]?["waiting"]?["message"] == "back-off 10s restarting failed container=c pod=p_ns(u-1)")
        #expect(driver.notes.last?.message == "Back-off restarting failed container c in pod p_ns(u-1)")
        #expect(driver.notes.last?.fieldPath == "spec.containers{c}")
        #expect(driver.status()["phase"] == "Running")
        #expect(driver.pass(9) == [])
        #expect(
            driver.pass(1.1) == [
                .discard(container: "c", attempt: 1, keepLog: true), .discard(container: "c", attempt: 0, keepLog: false),
                .start(container: "c", attempt: 2),
            ])
        driver.start("c", attempt: 2)
        #expect(driver.exit("c", 1, attempt: 2) == [])
        #expect(driver.pass(19) == [])
        #expect(!driver.pass(2).isEmpty)
        // Ten quiet minutes and it is as if nothing had been.
        driver.start("c", attempt: 3)
        driver.pass(601 + 20)
        #expect(driver.exit("c", 1, attempt: 3).contains(.start(container: "c", attempt: 4)))
    }

    @Test(arguments: [("Never", 0, "Succeeded"), ("Never", 3, "Failed"), ("OnFailure", 0, "Succeeded")])
    func podsThatEnd(policy: String, code: Int, phase: String) {
        var driver = MachineDriver(["restartPolicy": JSON(policy), "containers": [["name": "c", "image": "i"]]])
        _ = driver.bringUp()
        driver.start("c")
        #expect(driver.exit("c", code) == [.remove(logs: false)])
        driver.send(.sandboxRemoved)
        #expect(driver.status()["phase"] == JSON(phase))
        #expect(driver.container("c")["state"]?["terminated"]?["reason"] == (code == 0 ? "Completed" : "Error"))
        #expect(driver.delete() == [.remove(logs: true)])
        #expect(driver.send(.sandboxRemoved) == [.forget])
        #expect(driver.machine.isGone)
    }

    @Test func pullsFailAndBackOff() {
        var driver = MachineDriver(MachineDriver.one)
        _ = driver.bringUp()
        driver.send(.refused(container: "c", attempt: 0, StartRefusal(reason: "ErrImagePull", message: "no such image")))
        #expect(driver.container("c")["state"]?["waiting"]?["reason"] == "ErrImagePull")
        #expect(driver.notes.last?.message == "Error: ErrImagePull")
        driver.pass(3.1)
        #expect(driver.container("c")["state"]?["waiting"]?["reason"] == "ImagePullBackOff")
        #expect(
            driver.container("c")["state"]?["waiting"]?["message"] == "Back-off pulling image \"alpine\": ErrImagePull: no such image")
        #expect(driver.notes.suffix(2).map(\.message) == ["Back-off pulling image \"alpine\"", "Error: ImagePullBackOff"])
        #expect(driver.pass(7) == [.start(container: "c", attempt: 0)])
        // A better image is tried at once.
        driver.send(.refused(container: "c", attempt: 0, StartRefusal(reason: "ErrImagePull", message: "no such image")))
        var pod = driver.machine.pod
        pod["spec"]?["containers"] = [["name": "c", "image": "alpine:3"]]
        #expect(driver.send(.observed(pod)) == [.start(container: "c", attempt: 0)])
    }

    @Test func aProgramThatIsNotThere() {
        var driver = MachineDriver(MachineDriver.one)
        _ = driver.bringUp()
        driver.send(.refused(container: "c", attempt: 0, StartRefusal(reason: "RunContainerError", message: "nosuch: not found")))
        #expect(driver.notes.last?.message == "Error: nosuch: not found")
        #expect(driver.container("c")["state"]?["waiting"]?["reason"] == "RunContainerError")
        #expect(driver.container("c")["lastState"]?["terminated"]?["reason"] == "StartError")
        driver.pass(3.1)
        #expect(driver.container("c")["state"]?["waiting"]?["reason"] == "CrashLoopBackOff")
        #expect(driver.pass(7).last == .start(container: "c", attempt: 1))
    }

    @Test func aMissingConfigMapIsLookedForAgain() {
        var driver = MachineDriver(MachineDriver.one)
        _ = driver.bringUp()
        driver.send(
            .refused(container: "c", attempt: 0, StartRefusal(reason: "CreateContainerConfigError", message: "configmap \"x\" not found")))
        #expect(driver.notes.last?.message == "Error: configmap \"x\" not found")
        #expect(driver.pass(8.1) == [.start(container: "c", attempt: 0)])
    }

    @Test func endsPolitelyThenNot() {
        var driver = MachineDriver(MachineDriver.one)
        _ = driver.bringUp()
        driver.start("c")
        #expect(driver.delete(grace: 5) == [.signal(container: "c", 15)])
        #expect(driver.notes.last?.message == "Stopping container c")
        #expect(driver.pass(4.9) == [])
        #expect(driver.pass(0.2) == [.signal(container: "c", 9)])
        #expect(driver.exit("c", 137) == [.remove(logs: true)])
        #expect(driver.status()["phase"] == "Failed")
        #expect(driver.send(.sandboxRemoved) == [.remove(logs: true)] || driver.machine.isGone)
    }

    @Test func aShorterTimeCounts() {
        var driver = MachineDriver(MachineDriver.one)
        _ = driver.bringUp()
        driver.start("c")
        driver.delete(grace: 30)
        driver.pass(1)
        #expect(driver.delete(grace: 1) == [])
        #expect(driver.pass(1.1) == [.signal(container: "c", 9)])
    }

    @Test func hooksComeFirst() {
        var driver = MachineDriver([
            "containers": [
                [
                    "name": "c", "image": "i",
                    "lifecycle": ["preStop": ["sleep": ["seconds": 2]], "postStart": ["exec": ["command": ["true"]]]],
                ]
            ]
        ])
        _ = driver.bringUp()
        #expect(driver.start("c") == [.runHook(container: "c", attempt: 0, .postStart)])
        #expect(driver.container("c")["ready"] == false)
        driver.send(.hookEnded(container: "c", attempt: 0, .postStart, failure: ""))
        #expect(driver.container("c")["ready"] == true)
        #expect(driver.delete(grace: 10) == [.runHook(container: "c", attempt: 0, .preStop)])
        driver.now = driver.now.later(2)
        #expect(driver.send(.hookEnded(container: "c", attempt: 0, .preStop, failure: "")) == [.signal(container: "c", 15)])
        #expect(driver.pass(7.9) == [])
        #expect(driver.pass(0.2) == [.signal(container: "c", 9)])
    }

    @Test func aFailedStartHookKills() {
        var driver = MachineDriver([
            "containers": [["name": "c", "image": "i", "lifecycle": ["postStart": ["exec": ["command": ["false"]]]]]]
        ])
        _ = driver.bringUp()
        driver.start("c")
        #expect(
            driver.send(.hookEnded(container: "c", attempt: 0, .postStart, failure: "exit 1")) == [.signal(container: "c", 15)])
        #expect(driver.notes.map(\.reason).suffix(2) == ["FailedPostStartHook", "Killing"])
    }

    @Test func outOfTime() {
        var driver = MachineDriver(["activeDeadlineSeconds": 5, "containers": [["name": "c", "image": "i"]]])
        _ = driver.bringUp()
        driver.start("c")
        #expect(driver.machine.nextWake == 1005)
        #expect(driver.pass(5.1) == [.signal(container: "c", 15)])
        #expect(driver.exit("c", 143) == [.remove(logs: false)])
        #expect(driver.status()["reason"] == "DeadlineExceeded")
        #expect(driver.status()["phase"] == "Failed")
    }

    @Test func aRefusedPodFails() {
        var driver = MachineDriver(MachineDriver.one)
        #expect(driver.send(.rejected(reason: "OutOfcpu", message: "Node didn't have enough resource: cpu")) == [])
        #expect(driver.status()["phase"] == "Failed")
        #expect(driver.status()["message"] == "Pod was rejected: Node didn't have enough resource: cpu")
    }

    @Test func whatRanBeforeIsTakenOver() {
        var driver = MachineDriver(MachineDriver.one)
        let found = FoundSandbox(
            namespace: "ns", name: "p", uid: "u-1", addresses: ["10.0.0.9"], createdAt: driver.now.wall.adding(seconds: -100),
            containers: [
                FoundContainer(
                    name: "c", attempt: 3, id: "abc", image: MachineDriver.image, startedAt: driver.now.wall.adding(seconds: -50), exit: nil
                )
            ])
        #expect(driver.send(.adopted(found, status: .null)) == [.prepare])
        #expect(driver.container("c")["restartCount"] == 3)
        #expect(driver.container("c")["ready"] == true)
        #expect(driver.status()["podIP"] == "10.0.0.9")
        #expect(driver.exit("c", 1, attempt: 3).last == .start(container: "c", attempt: 4))
    }

    @Test func aNodeThatWasOffCountsItsRestarts() {
        var driver = MachineDriver(
            MachineDriver.one,
            status: [
                "phase": "Running",
                "containerStatuses": [
                    [
                        "name": "c", "restartCount": 2, "containerID": "lectern://old",
                        "state": ["running": ["startedAt": "2027-01-01T00:00:00Z"]],
                    ]
                ],
            ])
        #expect(driver.bringUp().last == .start(container: "c", attempt: 3))
        driver.start("c", attempt: 3)
        #expect(driver.container("c")["restartCount"] == 3)
        #expect(driver.container("c")["lastState"]?["terminated"]?["reason"] == "ContainerStatusUnknown")
    }

    @Test func aNewSandboxIsInitializedAgain() {
        var driver = MachineDriver(
            ["initContainers": [["name": "i", "image": "alpine"]], "containers": [["name": "c", "image": "alpine"]]],
            status: [
                "phase": "Running",
                "initContainerStatuses": [
                    [
                        "name": "i", "restartCount": 0, "containerID": "lectern://i",
                        "state": ["terminated": ["exitCode": 0, "reason": "Completed"]],
                    ]
                ],
                "containerStatuses": [
                    ["name": "c", "restartCount": 0, "containerID": "lectern://c", "state": ["running": .emptyObject]]
                ],
            ])
        #expect(driver.bringUp().last == .start(container: "i", attempt: 1))
        driver.start("i", attempt: 1)
        #expect(driver.exit("i", attempt: 1).last == .start(container: "c", attempt: 1))
    }

    @Test func ephemeralContainersAreAddedAndNeverRestarted() {
        var driver = MachineDriver(MachineDriver.one)
        _ = driver.bringUp()
        driver.start("c")
        var pod = driver.machine.pod
        pod["spec"]?["ephemeralContainers"] = [["name": "debug", "image": "busybox"]]
        #expect(driver.send(.observed(pod)) == [.start(container: "debug", attempt: 0)])
        driver.start("debug")
        #expect(driver.exit("debug", 1) == [])
        #expect(driver.container("debug")["state"]?["terminated"]?["exitCode"] == 1)
        #expect(driver.status()["phase"] == "Running")
    }

    @Test func anExitThatIsFasterThanItsStart() {
        var driver = MachineDriver(["restartPolicy": "Never", "containers": [["name": "c", "image": "i"]]])
        _ = driver.bringUp()
        #expect(driver.exit("c") == [])
        #expect(driver.start("c") == [.remove(logs: false)])
    }
}
