// `kube-scheduler`: the scheduler of a lab, while this process holds its lease.
internal import ClusterClient
internal import ClusterModel
internal import ClusterWire
internal import Essentials
internal import Kernel
internal import Scheduler
internal import Web
internal import Yaml

enum SchedulerComponent: Component {
    static let name = "kube-scheduler"

    static func run(_ flags: Flags) async -> Int32 {
        Signals.endOnTerm()
        do {
            var names: Set<String> = [PodScheduler.name]
            var kubeconfig = flags.value("kubeconfig")
            var isElected = flags.isOn("leader-elect", default: true)
            if let path = flags.value("config") {
                let settings = try YAML.document(Array(try LinuxKernel().readText(path).utf8))
                let profiles = settings["profiles"]?.array?.compactMap { $0["schedulerName"]?.string } ?? []
                if !profiles.isEmpty { names = Set(profiles) }
                kubeconfig = kubeconfig ?? settings["clientConnection"]?["kubeconfig"]?.string
                isElected = settings["leaderElection"]?["leaderElect"]?.bool ?? isElected
            }
            let configuration = try kubeconfig.map { path in try ClusterConfiguration(kubeconfig: path) }
            let transport = try HTTPSTransport(configuration ?? ClusterConfiguration.inCluster())
            let client = ClusterClient(transport: transport, user: UserInfo(name: "system:kube-scheduler"))
            let health = try await HealthServer.start(flags, defaultPort: 10259)
            await ServerWait.untilReady(client)
            let scheduler = PodScheduler(client: client, names: names)
            if isElected {
                let election = LeaderElection(client: client, name: name, host: Machine.hostName)
                try await election.acquire()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await election.hold() }
                    group.addTask { try await scheduler.run() }
                    try await group.next()
                    group.cancelAll()
                }
            } else {
                try await scheduler.run()
            }
            await health.stop()
        } catch {
            Flags.printError("\(name): \(error)\n")
        }
        return 1
    }
}
