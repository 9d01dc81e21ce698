// When containers are asked, and what thresholds make of the answers.
import ClusterModel
import Essentials
import Pods
import Testing

@Suite struct ProbeTests {
    private func driver(_ probes: JSON) -> MachineDriver {
        var container: JSON = ["name": "c", "image": "i"]
        for (key, value) in probes.members { container[key] = value }
        return MachineDriver(["containers": .array([container])])
    }

    private static let exec: JSON = ["command": ["check"]]

    @Test func readinessFollowsItsThresholds() {
        var driver = driver(["readinessProbe": ["exec": Self.exec, "periodSeconds": 2, "failureThreshold": 2, "successThreshold": 2]])
        _ = driver.bringUp()
        #expect(driver.start("c") == [.probe(container: "c", attempt: 0, .readiness)])
        #expect(driver.condition("Ready")["message"] == "containers with unready status: [c]")
        driver.send(.probed(container: "c", attempt: 0, .readiness, .success))
        #expect(driver.container("c")["ready"] == false)
        #expect(driver.pass(2) == [.probe(container: "c", attempt: 0, .readiness)])
        driver.send(.probed(container: "c", attempt: 0, .readiness, .success))
        #expect(driver.container("c")["ready"] == true)
        driver.pass(2)
        driver.send(.probed(container: "c", attempt: 0, .readiness, .failure("no")))
        #expect(driver.container("c")["ready"] == true)
        #expect(driver.notes.last == .warning("Unhealthy", "Readiness probe failed: no", at: "spec.containers{c}"))
        driver.pass(2)
        driver.send(.probed(container: "c", attempt: 0, .readiness, .failure("no")))
        #expect(driver.container("c")["ready"] == false)
    }

    @Test func livenessRestarts() {
        var driver = driver([
            "livenessProbe": ["exec": Self.exec, "initialDelaySeconds": 3, "failureThreshold": 1, "terminationGracePeriodSeconds": 4]
        ])
        _ = driver.bringUp()
        #expect(driver.start("c") == [])
        #expect(driver.machine.nextWake == driver.now.seconds + 3)
        #expect(driver.pass(3) == [.probe(container: "c", attempt: 0, .liveness)])
        #expect(driver.send(.probed(container: "c", attempt: 0, .liveness, .failure("dead"))) == [.signal(container: "c", 15)])
        #expect(driver.notes.last?.message == "Container c failed liveness probe, will be restarted")
        #expect(driver.pass(4.1) == [.signal(container: "c", 9)])
        #expect(driver.exit("c", 137).last == .start(container: "c", attempt: 1))
    }

    @Test func startupComesBeforeTheOthers() {
        var driver = driver([
            "startupProbe": ["exec": Self.exec, "periodSeconds": 1], "livenessProbe": ["exec": Self.exec],
            "readinessProbe": ["exec": Self.exec],
        ])
        _ = driver.bringUp()
        #expect(driver.start("c") == [.probe(container: "c", attempt: 0, .startup)])
        #expect(driver.container("c")["started"] == false)
        let next = driver.send(.probed(container: "c", attempt: 0, .startup, .success))
        #expect(next == [.probe(container: "c", attempt: 0, .readiness), .probe(container: "c", attempt: 0, .liveness)])
        #expect(driver.container("c")["started"] == true)
        #expect(driver.container("c")["ready"] == false)
        driver.send(.probed(container: "c", attempt: 0, .readiness, .success))
        #expect(driver.container("c")["ready"] == true)
    }

    @Test func aServerThatHasJustBegunIsAskedAgainSoon() {
        var driver = driver(["readinessProbe": ["httpGet": ["port": 80]]])
        _ = driver.bringUp()
        driver.start("c")
        #expect(driver.send(.probed(container: "c", attempt: 0, .readiness, .failure("refused"))) == [])
        #expect(driver.notes.isEmpty)
        #expect(driver.pass(0.11) == [.probe(container: "c", attempt: 0, .readiness)])
        driver.send(.probed(container: "c", attempt: 0, .readiness, .success))
        #expect(driver.condition("Ready")["status"] == "True")
    }

    @Test func gatesKeepAPodFromBeingReady() {
        var driver = MachineDriver([
            "readinessGates": [["conditionType": "example.org/up"]], "containers": [["name": "c", "image": "i"]],
        ])
        _ = driver.bringUp()
        driver.start("c")
        #expect(driver.condition("ContainersReady")["status"] == "True")
        #expect(driver.condition("Ready")["reason"] == "ReadinessGatesNotReady")
        var pod = driver.machine.pod
        pod[path: ["status", "conditions"]] = [["type": "example.org/up", "status": "True"]]
        driver.send(.observed(pod))
        #expect(driver.condition("Ready")["status"] == "True")
    }
}
