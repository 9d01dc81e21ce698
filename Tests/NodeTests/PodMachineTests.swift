// The life of a pod, decision by decision.
import Essentials
import Kernel
import Kubelet
import Testing

@Suite struct PodMachineTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    private func running() -> PodMachine {
        var machine = PodMachine(container: "node", restartPolicy: "Always")
        _ = machine.handle(.observed(isBeingDeleted: false), now: now)
        _ = machine.handle(.created(process: 7), now: now)
        return machine
    }

    @Test func aNewPodIsCreatedWatchedAndToldOf() {
        var machine = PodMachine(container: "node", restartPolicy: "Always")
        #expect(machine.handle(.observed(isBeingDeleted: false), now: now) == [.create])
        #expect(machine.handle(.observed(isBeingDeleted: false), now: now) == [])
        let actions = machine.handle(.created(process: 7), now: now)
        #expect(actions.prefix(3) == [.watch(process: 7), .awaitReady, .writeStatus])
        #expect(machine.handle(.ready(true), now: now) == [.writeStatus])
        #expect(machine.handle(.ready(true), now: now) == [])
        #expect(machine.isReady && machine.process == 7)
    }

    @Test func theFirstRestartIsAtOnceAndLaterOnesWaitLonger() {
        var machine = running()
        var waits: [Int] = []
        for _ in 0..<9 {
            for case .waitSeconds(let seconds) in machine.handle(.ended(.exited(1)), now: now) { waits.append(seconds) }
            #expect(machine.handle(.again, now: now) == [.restart])
            _ = machine.handle(.created(process: 8), now: now)
        }
        #expect(waits == [0, 10, 20, 40, 80, 160, 300, 300, 300])
        #expect(machine.restarts == 9)
    }

    @Test func aLongRunForgetsEarlierFailures() {
        var machine = running()
        for _ in 0..<3 {
            _ = machine.handle(.ended(.exited(1)), now: now)
            _ = machine.handle(.again, now: now)
            _ = machine.handle(.created(process: 8), now: now)
        }
        #expect(machine.handle(.ended(.exited(1)), now: now.adding(seconds: 700)).contains(.waitSeconds(0)))
    }

    @Test(arguments: [
        ("Never", Int32(0), PodMachine.State.succeeded), ("Never", 1, .failed), ("OnFailure", 0, .succeeded), ("OnFailure", 1, .backingOff),
        ("Always", 0, .backingOff),
    ])
    func theRestartPolicyIsKept(policy: String, code: Int32, state: PodMachine.State) {
        var machine = PodMachine(container: "c", restartPolicy: policy)
        _ = machine.handle(.observed(isBeingDeleted: false), now: now)
        _ = machine.handle(.created(process: 7), now: now)
        _ = machine.handle(.ended(.exited(code)), now: now)
        #expect(machine.state == state)
    }

    @Test func deletionWinsInEveryState() {
        for prepare: (inout PodMachine) -> Void in [
            { _ in }, { _ = $0.handle(.observed(isBeingDeleted: false), now: self.now) },
            { machine in
                _ = machine.handle(.observed(isBeingDeleted: false), now: self.now)
                _ = machine.handle(.refused(reason: "ImageMissing", message: "x", isFinal: false), now: self.now)
            }, { $0 = self.running() },
        ] {
            var machine = PodMachine(container: "node", restartPolicy: "Always")
            prepare(&machine)
            #expect(machine.handle(.observed(isBeingDeleted: true), now: now).last == .remove)
            #expect(machine.handle(.created(process: 9), now: now) == [])
            #expect(machine.handle(.removed, now: now) == [.forget])
            #expect(machine.handle(.vanished, now: now) == [])
        }
    }

    @Test func whatCannotWorkIsNotTriedAgain() {
        var machine = PodMachine(container: "node", restartPolicy: "Always")
        _ = machine.handle(.observed(isBeingDeleted: false), now: now)
        let actions = machine.handle(.refused(reason: "UnsupportedPod", message: "no", isFinal: true), now: now)
        #expect(machine.state == .failed && !actions.contains { if case .waitSeconds = $0 { true } else { false } })
    }

    @Test func anAdoptedPodKeepsItsStartAndCount() {
        var machine = PodMachine(container: "node", restartPolicy: "Always")
        let started = now.adding(seconds: -500)
        #expect(
            machine.handle(.adopted(process: 7, startedAt: started, restarts: 2, wasReady: true), now: now) == [
                .watch(process: 7), .awaitReady, .writeStatus,
            ])
        #expect(machine.startedAt == started && machine.restarts == 2 && machine.isReady)
        var dead = PodMachine(container: "node", restartPolicy: "Always")
        #expect(dead.handle(.adopted(process: nil, startedAt: started, restarts: 0, wasReady: true), now: now).contains(.waitSeconds(0)))
        #expect(dead.handle(.again, now: now) == [.restart])
    }
}

@Suite struct PodStatusTests {
    private let now = Timestamp(seconds: 1_800_000_000)
    private let pod: JSON = [
        "metadata": ["name": "node1", "namespace": "lab-a", "uid": "u-1"], "spec": ["containers": [["name": "node", "image": "x"]]],
    ]

    private func status(_ machine: PodMachine, _ pod: JSON, at time: Timestamp) -> JSON {
        PodStatus.document(machine, pod: pod, hostAddress: "192.0.2.1", podAddress: "172.30.0.11", now: time)
    }

    @Test func aConditionKeepsTheTimeOfItsLastChange() {
        var machine = PodMachine(container: "node", restartPolicy: "Always")
        _ = machine.handle(.observed(isBeingDeleted: false), now: now)
        _ = machine.handle(.created(process: 1), now: now)
        var pod = pod
        pod["status"] = status(machine, pod, at: now)
        #expect(pod["status"]?["phase"] == "Running" && pod["status"]?["podIP"] == "172.30.0.11")
        _ = machine.handle(.ready(true), now: now)
        let later = status(machine, pod, at: now.adding(seconds: 60))
        func time(_ type: String, _ status: JSON?) -> String? {
            status?["conditions"]?.array?.first { $0["type"]?.string == type }?["lastTransitionTime"]?.string
        }
        #expect(time("Initialized", later) == time("Initialized", pod["status"]))
        #expect(time("Ready", later) == now.adding(seconds: 60).rfc3339)
        #expect(later["startTime"] == pod["status"]?["startTime"])
    }

    @Test func aCrashLoopIsARunningPodThatWaits() {
        var machine = PodMachine(container: "node", restartPolicy: "Always")
        _ = machine.handle(.observed(isBeingDeleted: false), now: now)
        _ = machine.handle(.created(process: 1), now: now)
        _ = machine.handle(.ended(.signalled(9)), now: now)
        let status = status(machine, pod, at: now)
        #expect(status["phase"] == "Running")
        let container = status["containerStatuses"]?[0]
        #expect(container?["state"]?["waiting"]?["reason"] == "CrashLoopBackOff")
        #expect(container?["lastState"]?["terminated"]?["exitCode"] == 137)
    }
}
