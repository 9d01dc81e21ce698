// `kubeadm reset`: takes back what `init` or `join` did to this node.
internal import Essentials
internal import Glibc
internal import Kernel

extension Kubeadm {
    static let resetFlags: Set<String> = ["cert-dir", "cleanup-tmp-dir", "ignore-preflight-errors", "skip-phases"]
    static let resetSwitches: Set<String> = ["force", "dry-run", "cleanup-tmp-dir"]

    func reset(_ arguments: KubeadmArguments, confirm: () -> String?) throws(KubeadmProblem) {
        if !arguments.isOn("force") {
            place.print("[reset] WARNING: Changes made to this host by 'kubeadm init' or 'kubeadm join' will be reverted.\n")
            place.print("[reset] Are you sure you want to proceed? [y/N]: ")
            guard let answer = confirm(), ["y", "yes"].contains(answer.lowercased()) else {
                throw KubeadmProblem("error execution phase preflight: aborted reset operation", reason: "Aborted")
            }
        }
        place.print("[preflight] Running pre-flight checks\n")
        place.print("[reset] Stopping the kubelet service\n")
        do throws(ServiceProblem) { try place.control.ask("stop", unit: "kubelet.service") } catch {
            place.complain("[reset] WARNING: The kubelet service could not be stopped by kubeadm: [\(error.message)]\n")
        }
        removeContainers()
        place.print("[reset] Unmounting mounted directories in \"\(KubeadmDefaults.kubelet)\"\n")
        unmountAll(below: KubeadmDefaults.kubelet)
        if !place.list(KubeadmDefaults.etcd).isEmpty {
            place.print("[reset] Deleted contents of the etcd data directory: \(KubeadmDefaults.etcd)\n")
            place.empty(KubeadmDefaults.etcd)
        }
        let folders = [KubeadmDefaults.manifests, KubeadmDefaults.kubelet, KubeadmDefaults.pki]
        place.print("[reset] Deleting contents of directories: [\(folders.joined(separator: " "))]\n")
        for folder in folders { place.empty(folder) }
        let files = [
            "admin.conf", "super-admin.conf", "kubelet.conf", "bootstrap-kubelet.conf", "controller-manager.conf", "scheduler.conf",
        ]
        .map { "\(KubeadmDefaults.kubernetes)/\($0)" }
        place.print("[reset] Deleting files: [\(files.joined(separator: " "))]\n")
        for file in files { place.remove(file) }
        place.print(
            """

            The reset process does not perform cleanup of CNI plugin configuration,
            network filtering rules and kubeconfig files.

            For information on how to perform this cleanup manually, please see:
                https://k8s.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/


            """)
    }

    /// Ends every container of every pod, with what the runtime keeps of them.
    private func removeContainers() {
        // A place that is not the whole machine has no processes of its own.
        guard place.root.isEmpty else { return }
        let kernel = place.kernel
        // Control groups of pods tell every process of theirs, whoever started it.
        for root in ["/sys/fs/cgroup"] + ((try? kernel.list("/sys/fs/cgroup")) ?? []).map({ "/sys/fs/cgroup/\($0)" }) {
            for _ in 0..<100 {
                let left = processes(in: root + "/kubepods")
                if left.isEmpty { break }
                for process in left { try? kernel.signal(process, 9) }
                pauseThread(milliseconds: 5)
            }
            removeGroups(root + "/kubepods")
        }
        for folder in Self.runtimeFolders {
            unmountAll(below: folder)
            place.empty(folder)
        }
        for name in place.list("/run/netns") where name.hasPrefix("cni-") || name.hasPrefix("pod-") {
            try? kernel.unmount("/run/netns/\(name)")
            place.remove("/run/netns/\(name)")
        }
    }

    /// Where the runtime keeps pods, containers and their logs.
    static let runtimeFolders = [
        "/var/lib/containers/lectern", "/run/lectern/pods", "/run/lectern/containers", "/var/log/pods", "/var/log/containers",
    ]

    private func processes(in group: String) -> [Int32] {
        var found = ((try? place.kernel.readText(group + "/cgroup.procs")) ?? "").split(separator: "\n").compactMap { Int32($0) }
        for child in groups(below: group) { found += processes(in: child) }
        return found
    }

    private func groups(below group: String) -> [String] {
        ((try? place.kernel.list(group)) ?? []).map { "\(group)/\($0)" }.filter { place.kernel.exists($0 + "/cgroup.procs") }
    }

    private func removeGroups(_ group: String) {
        guard place.kernel.exists(group + "/cgroup.procs") else { return }
        for child in groups(below: group) { removeGroups(child) }
        try? place.kernel.remove(group)
    }

    private func unmountAll(below folder: String) {
        guard place.root.isEmpty, let points = try? place.kernel.mounts(below: folder) else { return }
        for point in points.reversed() where point != folder { try? place.kernel.unmount(point) }
    }
}
