// One program in every node of a lab, with many names: it is the component whose name it is called by.
internal import Glibc

/// A component: its flags and wiring.
protocol Component: SendableMetatype {
    static var name: String { get }
    /// Runs to its end and answers with the exit status.
    static func run(_ flags: Flags) async -> Int32
}

/// A component that needs no tasks, and so no thread but the first.
protocol InstantComponent: Component {
    static func finish(_ flags: Flags) -> Int32
}

extension InstantComponent {
    static func run(_ flags: Flags) async -> Int32 { finish(flags) }
}

@main struct Labkube {
    static var components: [any Component.Type] {
        [
            EtcdComponent.self, APIServerComponent.self, ControllerManagerComponent.self, SchedulerComponent.self, KubeletComponent.self,
            KubeadmComponent.self, ProxyComponent.self, DNSComponent.self, CNIComponent.self, NetworkDaemonComponent.self,
            ClassicKubectlComponent.self, ClusterViewComponent.self, SystemctlComponent.self, JournalctlComponent.self, CopyComponent.self,
        ]
    }

    /// Other names that a component answers to; it finds the one it was called by in its flags.
    private static let aliases = [
        "weave-net": CNIComponent.name, "weave-ipam": CNIComponent.name, "flannel": CNIComponent.name, "bridge": CNIComponent.name,
        "host-local": CNIComponent.name, "portmap": CNIComponent.name, "loopback": CNIComponent.name,
        "launch.sh": NetworkDaemonComponent.name, "init.sh": NetworkDaemonComponent.name, "weave-npc": NetworkDaemonComponent.name,
        "flanneld": NetworkDaemonComponent.name, "kubectl": ClassicKubectlComponent.name,
    ]

    // Not asynchronous: such a `main` ends the first thread by unwinding its stack, and for that the unwinder of a static program
    // sorts the frames of all functions there are: 15 ms and a megabyte of every process.
    static func main() {
        signal(SIGPIPE, SIG_IGN)
        var words = CommandLine.arguments
        var name = words.isEmpty ? "labkube" : String(words.removeFirst().split(separator: "/").last ?? "")
        if name == "labkube" || component(name) == nil {
            guard let first = words.first, component(first) != nil else {
                Flags.fail("usage: labkube COMPONENT [FLAGS]\n\nComponents: \(components.map { $0.name }.joined(separator: ", "))\n")
            }
            name = words.removeFirst()
        }
        guard let component = component(name) else { exit(2) }
        let flags = Flags(name: name, words: words)
        KlogHandler.install(flags)
        if let instant = component as? any InstantComponent.Type { exit(instant.finish(flags)) }
        Task.detached { exit(await component.run(flags)) }
        while true { pause() }
    }

    private static func component(_ name: String) -> (any Component.Type)? {
        let own = aliases[name] ?? name
        return components.first { $0.name == own }
    }
}
