// What becomes of a service, decided without processes; and what unit files say.
import Agent
import Testing

@Suite struct ServiceMachineTests {
    private var unit: UnitFile {
        var unit = UnitFile(name: "kubelet.service")
        unit.description = "kubelet"
        unit.restarts = .always
        unit.restartSeconds = 0.5
        return unit
    }

    private func running(_ unit: UnitFile, at now: Double = 0) -> ServiceMachine {
        var machine = ServiceMachine()
        #expect(machine.handle(.start, unit: unit, now: now) == [.launch])
        _ = machine.handle(.started(pid: 7), unit: unit, now: now)
        return machine
    }

    @Test func aStartIsSettledWhenTheProcessIsThere() {
        var machine = ServiceMachine()
        #expect(machine.handle(.start, unit: unit, now: 0) == [.launch])
        #expect(machine.handle(.started(pid: 7), unit: unit, now: 0) == [.journal("Started kubelet.service - kubelet."), .settled])
        #expect(machine.active == ("active", "running") && machine.pid == 7)
        #expect(machine.handle(.start, unit: unit, now: 1) == [.settled])
    }

    @Test func anUnmetConditionIsNoFailure() {
        var machine = ServiceMachine()
        _ = machine.handle(.start, unit: unit, now: 0)
        #expect(machine.handle(.conditionUnmet, unit: unit, now: 0).last == .settled)
        #expect(machine.active == ("inactive", "dead") && machine.isConditionUnmet)
    }

    @Test func aServiceThatDiesIsStartedAgainAfterItsPause() {
        var machine = running(unit)
        let actions = machine.handle(.ended(status: 137), unit: unit, now: 20)
        #expect(
            actions == [
                .journal("kubelet.service: Main process exited, code=killed, status=9/KILL"),
                .journal("kubelet.service: Failed with result 'signal'."), .wait(seconds: 0.5),
            ])
        #expect(machine.active == ("activating", "auto-restart"))
        #expect(machine.handle(.restartDue, unit: unit, now: 21).last == .launch && machine.restarts == 1)
    }

    @Test func pausesGrowWhileItDiesAtOnceAndShrinkAgain() {
        var machine = running(unit)
        var pauses: [Double] = []
        for round in 1...8 {
            for action in machine.handle(.ended(status: 1), unit: unit, now: Double(round)) {
                if case .wait(let seconds) = action { pauses.append(seconds) }
            }
            _ = machine.handle(.restartDue, unit: unit, now: Double(round))
            _ = machine.handle(.started(pid: 8), unit: unit, now: Double(round))
        }
        #expect(pauses == [0.5, 1, 2, 4, 8, 10, 10, 10])
        #expect(machine.handle(.ended(status: 1), unit: unit, now: 100).last == .wait(seconds: 0.5))
    }

    @Test func aStopIsNoFailureAndIsNotStartedAgain() {
        var machine = running(unit)
        #expect(machine.handle(.stop, unit: unit, now: 1) == [.journal("Stopping kubelet.service - kubelet..."), .terminate])
        #expect(machine.handle(.stopOverdue, unit: unit, now: 11).last == .kill)
        #expect(machine.handle(.ended(status: 137), unit: unit, now: 11).last == .settled)
        #expect(machine.active == ("inactive", "dead") && machine.pid == nil)
    }

    @Test func aRestartIsAStopAndAStart() {
        var machine = running(unit)
        _ = machine.handle(.restart, unit: unit, now: 1)
        #expect(machine.handle(.ended(status: 143), unit: unit, now: 2).last == .launch)
        #expect(machine.handle(.started(pid: 9), unit: unit, now: 2).last == .settled && machine.pid == 9)
        // A stop that comes while it restarts wins.
        _ = machine.handle(.restart, unit: unit, now: 3)
        #expect(machine.handle(.stop, unit: unit, now: 3) == [])
        #expect(machine.handle(.ended(status: 143), unit: unit, now: 3).last == .settled && machine.active.state == "inactive")
    }

    @Test func aWaitingServiceCanBeStoppedAndStarted() {
        var machine = running(unit)
        _ = machine.handle(.ended(status: 1), unit: unit, now: 1)
        #expect(machine.handle(.stop, unit: unit, now: 1).contains(.cancelWait) && machine.active.state == "inactive")
        #expect(machine.handle(.restartDue, unit: unit, now: 2) == [])
        #expect(machine.handle(.start, unit: unit, now: 2) == [.launch])
    }

    @Test func withoutRestartAFailureStays() {
        var plain = unit
        plain.restarts = .no
        var machine = running(plain)
        #expect(machine.handle(.ended(status: 3), unit: plain, now: 1).last == .settled && machine.active == ("failed", "failed"))
        machine = running(plain)
        _ = machine.handle(.ended(status: 0), unit: plain, now: 1)
        #expect(machine.active.state == "inactive")
    }

    @Test func dropInsAddAndReplace() {
        var unit = UnitFile(name: "kubelet.service")
        unit.read(
            """
            # a comment
            [Unit]
            Description=kubelet: The Kubernetes Node Agent
            ConditionPathExists=/a
            [Service]
            ExecStart=/usr/bin/kubelet
            Restart=always
            RestartSec=1min 500ms
            [Install]
            WantedBy=multi-user.target
            """)
        unit.read("[Service]\nEnvironment=\"A=1 2\" B=3\nEnvironmentFile=-/none\nExecStart=\nExecStart=/usr/bin/kubelet \\\n  $A ${B}x\n")
        #expect(unit.description == "kubelet: The Kubernetes Node Agent" && unit.conditions == ["/a"] && unit.restartSeconds == 60.5)
        #expect(unit.environment == ["A=1 2", "B=3"] && unit.environmentFiles == ["-/none"] && unit.wantedBy == ["multi-user.target"])
        #expect(UnitFile.arguments(unit.command, environment: ["A": "1 2", "B": "3"]) == ["/usr/bin/kubelet", "1", "2", "3x"])
    }

    @Test func environmentFilesAreReadAsSystemdDoes() {
        #expect(
            UnitFile.variables("# no\nKUBELET_KUBEADM_ARGS=\"--a=1 --b=2\"\n\nEMPTY=\nnonsense\n") == [
                "KUBELET_KUBEADM_ARGS=--a=1 --b=2", "EMPTY=",
            ])
        #expect(UnitFile.words("a \"b c\" 'd e'f g\\ h") == ["a", "b c", "d ef", "g h"])
        for text in ["x", "5 parsecs"] { #expect(UnitFile.seconds(text) == nil) }
    }
}
