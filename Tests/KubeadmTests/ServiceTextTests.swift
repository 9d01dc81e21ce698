// What systemctl and journalctl write, and which of journalctl's options are understood.
import Essentials
import Kubeadm
import Testing

@Suite struct ServiceTextTests {
    private let now = Timestamp(seconds: 1_795_575_024)

    @Test func aRunningServiceReadsAsSystemdsDoes() {
        let text = ServiceText.status(
            [
                "unit": "kubelet.service", "description": "kubelet", "path": "/usr/lib/systemd/system/kubelet.service",
                "enabled": "enabled",
                "dropIns": ["/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"], "active": "active", "sub": "running",
                "since": JSON(now.adding(seconds: -300).rfc3339), "documentation": ["https://kubernetes.io/docs/"],
            ], log: ["1795575024.000001 kubelet[25] hello there"], host: "node1", colours: false, now: now)
        #expect(
            text == """
                ● kubelet.service - kubelet
                     Loaded: loaded (/usr/lib/systemd/system/kubelet.service; enabled; preset: enabled)
                    Drop-In: /usr/lib/systemd/system/kubelet.service.d
                             └─10-kubeadm.conf
                     Active: active (running) since \(ServiceText.moment(now.adding(seconds: -300))); 5min ago
                       Docs: https://kubernetes.io/docs/

                \(ServiceText.shortTime(now)) node1 kubelet[25]: hello there

                """)
    }

    @Test func anUnmetConditionIsNamed() {
        let text = ServiceText.status(
            [
                "unit": "kubelet.service", "active": "inactive", "sub": "dead", "since": JSON(now.rfc3339), "conditionUnmet": true,
                "conditions": ["/var/lib/kubelet/config.yaml"],
            ], log: [], host: "node1", colours: false, now: now)
        #expect(text.contains("○ ") && text.contains("Active: inactive (dead)\n"))
        #expect(text.contains("└─ ConditionPathExists=/var/lib/kubelet/config.yaml was not met"))
    }

    @Test(arguments: [
        (0.2, "200ms ago"), (5, "5s ago"), (65, "1min 5s ago"), (600, "10min ago"), (3780, "1h 3min ago"), (90000, "1 day 1h ago"),
    ])
    func spansAreSaidAsPeopleSayThem(seconds: Double, text: String) { #expect(ServiceText.ago(seconds) == text) }

    @Test func momentsNameTheDay() {
        #expect(ServiceText.moment(Timestamp(rfc3339: "2026-11-25T02:50:24Z") ?? now) == "Wed 2026-11-25 02:50:24 UTC")
        #expect(ServiceText.shortTime(Timestamp(rfc3339: "2026-11-25T02:50:24Z") ?? now) == "Nov 25 02:50:24")
    }

    @Test func journalctlsUsualOptionsAreUnderstood() throws {
        let options = try Journalctl.Options(["-xeu", "kubelet", "--no-pager"], now: now)
        #expect(options.units == ["kubelet.service"] && options.lines == 1000 && !options.follow)
        #expect(try Journalctl.Options(["-fu", "kubelet.service"], now: now).lines == 10)
        #expect(try Journalctl.Options(["-u", "kubelet", "-n20", "-r"], now: now).lines == 20)
        #expect(try Journalctl.Options(["-n", "--unit=kubelet"], now: now).lines == 10)
        #expect(try Journalctl.Options(["-n", "all"], now: now).lines == nil)
        #expect(try Journalctl.Options(["--since", "10 min ago"], now: now).since == now.adding(seconds: -600))
        #expect(try Journalctl.Options(["-S", "2026-11-25 02:00:00"], now: now).since == Timestamp(rfc3339: "2026-11-25T02:00:00Z"))
        #expect(try Journalctl.Options(["-o", "cat"], now: now).style == .cat)
        for words in [["--nonsense"], ["-u"], ["-o", "xml"], ["--since", "whenever"], ["word"]] {
            #expect(throws: ServiceProblem.self) { _ = try Journalctl.Options(words, now: now) }
        }
    }

    @Test func withoutASupervisorSystemctlSaysSo() {
        var said = ""
        let systemctl = Systemctl(control: ServiceControl(path: "/nonexistent/socket"), print: { _ in }, complain: { said += $0 })
        #expect(systemctl.run(["status", "kubelet"]) == 1)
        #expect(said.hasPrefix("System has not been booted with systemd as init system (PID 1)."))
        #expect(systemctl.run(["frobnicate", "kubelet"]) == 1 && said.hasSuffix("Unknown command verb 'frobnicate'.\n"))
    }
}
