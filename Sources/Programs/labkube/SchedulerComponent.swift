// `kube-scheduler`: the scheduler of a lab.

enum SchedulerComponent: Component {
    static let name = "kube-scheduler"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("kube-scheduler: not part of this version of Lectern yet\n")
        return 1
    }
}
