// `cluster-view`: prints what the node's cluster looks like and how it changes, for the drawing on the lesson page.
internal import ClusterClient
internal import ClusterView
internal import ClusterWire
internal import Essentials
internal import Glibc
internal import Kernel

enum ClusterViewComponent: Component {
    static let name = "cluster-view"
    /// How often it looks for a cluster while there is none, in milliseconds.
    private static let waitMilliseconds = 500

    static func run(_ flags: Flags) async -> Int32 {
        let path = flags.value("kubeconfig") ?? "/etc/kubernetes/admin.conf"
        var hasSaidSo = false
        while true {
            if access(path, R_OK) == 0, let client = client(path) {
                // The reader is gone when a line cannot be written; then nobody looks any more.
                let feed = ClusterFeed(client: client) { line in if !say(line) { exit(0) } }
                let watch = Task {
                    // `kubeadm reset` takes the file away, and with it the cluster.
                    while access(path, R_OK) == 0 { try? await Task.sleep(for: .milliseconds(waitMilliseconds * 4)) }
                }
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await feed.run() }
                    group.addTask { await watch.value }
                    await group.next()
                    group.cancelAll()
                }
                hasSaidSo = false
            }
            if !hasSaidSo {
                if !say("{\"state\":\"waiting\"}") { return 0 }
                hasSaidSo = true
            }
            try? await Task.sleep(for: .milliseconds(waitMilliseconds))
        }
    }

    /// Blocks while the reader is slow; false when it is gone.
    private static func say(_ line: String) -> Bool {
        let bytes = Array((line + "\n").utf8)
        var sent = 0
        while sent < bytes.count {
            let count = PTYFiles.write(1, bytes, from: sent)
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    private static func client(_ path: String) -> ClusterClient? {
        guard let configuration = try? ClusterConfiguration(kubeconfig: path), let transport = try? HTTPSTransport(configuration) else {
            return nil
        }
        return ClusterClient(transport: transport)
    }
}
