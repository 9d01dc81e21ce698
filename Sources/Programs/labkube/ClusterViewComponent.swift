// `cluster-view`: the cluster as the page draws it.

enum ClusterViewComponent: Component {
    static let name = "cluster-view"

    static func run(_ flags: Flags) async -> Int32 {
        Flags.printError("cluster-view: not part of this version of Lectern yet\n")
        return 1
    }
}
