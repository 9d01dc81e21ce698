// The way down of a pod: kill, network, mounts, control groups, files; the same for whole pods and halves of them.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Logging
package import Pods
internal import Synchronization

extension NodePodRuntime {
    /// Directories of logs of pods that are gone; the oldest is removed when there are more.
    static let oldLogsLimit = 10
    /// How long the processes of a pod may take to end after they were killed.
    private static let removalSeconds = 30.0

    package func removeSandbox(uid: String, namespace: String, name: String) async throws(PodRuntimeProblem) {
        guard Self.isSafe(uid) else { return }
        let places = settings.pod(uid)
        state.withLock { _ = $0.leaving.insert(uid) }
        defer { state.withLock { _ = $0.leaving.remove(uid) } }
        let record = sandbox(uid) ?? readRecord(uid)
        let group = record?.group ?? groups.pods()[uid]
        guard record != nil || group != nil || kernel.exists(places.directory) || kernel.exists(places.storage) else { return }
        let what = "failed to stop sandbox"
        do throws(PodRuntimeProblem) {
            if let group { try await killAll(group, record) }
            if let record { await detach(record) }
            try await threads.run { [self] () throws(PodRuntimeProblem) in
                try telling("FailedKillPod", what) { () throws(KernelProblem) in
                    for point in try kernel.mounts(below: places.directory).reversed() { try kernel.unmount(point) }
                    try kernel.unmount(places.network)
                    try kernel.remove(places.network)
                    if let group { try removeGroup(group) }
                    try kernel.removeTree(places.storage)
                    try kernel.removeTree(places.directory)
                    removeLinks(uid: uid, namespace: namespace, name: name)
                    forgetOldLogs()
                }
            }
        } catch {
            logger.warning("A pod could not be removed.", metadata: ["pod": "\(namespace)/\(name)", "cause": "\(error.description)"])
            throw error
        }
        let left = state.withLock { state in
            state.sandboxes[uid] = nil
            return state.running.removeValue(forKey: uid)
        }
        for container in (left ?? [:]).values { container.release(readiness) }
        collectHelpers(except: nil)
    }

    // Kills everything in the group until nothing is left, and waits for the ends of containers to be told.
    private func killAll(_ group: String, _ record: SandboxRecord?) async throws(PodRuntimeProblem) {
        let due = monotonicSeconds() + Self.removalSeconds
        while true {
            let processes = await threads.run { [self] in
                let processes = groups.processes(group)
                for process in processes { try? kernel.signal(process, 9) }
                return processes.compactMap { try? kernel.processDescriptor($0) }
            }
            for descriptor in processes { await waitForEnd(descriptor, until: due) }
            if let pause = record?.pauseProcess { _ = kernel.collect(pause) }
            let left = await threads.run { [self] in groups.processes(group) }
            if left.isEmpty { break }
            guard monotonicSeconds() < due else {
                throw PodRuntimeProblem(reason: "FailedKillPod", message: "processes of the pod do not end")
            }
            // What is uncollected still counts in its group; its collector is about to run.
            await threads.run { pauseThread(milliseconds: 2) }
        }
        for container in state.withLock({ state in record.flatMap { state.running[$0.uid] } ?? [:] }).values {
            _ = await container.exit.value()
        }
    }

    private func waitForEnd(_ descriptor: OwnedDescriptor, until due: Double) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [readiness] in _ = await readiness.wait(for: descriptor) }
            group.addTask { try? await Task.sleep(for: .milliseconds(Int64(max(0, due - monotonicSeconds()) * 1000))) }
            await group.next()
            group.cancelAll()
        }
    }

    func removeGroup(_ group: String) throws(KernelProblem) {
        for _ in 0..<500 {
            if try groups.remove(group) { return }
            pauseThread(milliseconds: 2)
        }
        throw KernelProblem(call: "rmdir", subject: group, code: Errno.busy)
    }

    func readRecord(_ uid: String) -> SandboxRecord? {
        let places = settings.pod(uid)
        for path in [places.record, places.storedRecord] {
            if let text = try? kernel.readText(path), let json = try? JSON(parsing: text) { return SandboxRecord(json) }
        }
        return nil
    }

    // MARK: Logs of pods that are gone

    private func removeLinks(uid: String, namespace: String, name: String) {
        let directory = settings.logDirectory(namespace: namespace, pod: name, uid: uid)
        for link in (try? kernel.list(settings.logs + "/containers")) ?? [] where link.hasPrefix("\(name)_\(namespace)_") {
            let path = "\(settings.logs)/containers/\(link)"
            if kernel.linkTarget(path)?.hasPrefix(directory + "/") == true { try? kernel.remove(path) }
        }
    }

    private func forgetOldLogs() {
        let known = state.withLock { Set($0.sandboxes.keys) }
        let all = ((try? kernel.list(settings.logs + "/pods")) ?? []).filter { name in
            name.split(separator: "_").last.map { !known.contains(String($0)) } ?? false
        }
        guard all.count > Self.oldLogsLimit else { return }
        let dated = all.map { ("\(settings.logs)/pods/\($0)", kernel.facts("\(settings.logs)/pods/\($0)")?.modified) }
        let sorted = dated.sorted { ($0.1 ?? Timestamp(seconds: 0)) < ($1.1 ?? Timestamp(seconds: 0)) }
        for (path, _) in sorted.prefix(all.count - Self.oldLogsLimit) { try? kernel.removeTree(path) }
    }

    // Names become parts of paths and of control groups.
    static func isSafe(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 253 && name.utf8.first != UInt8(ascii: ".")
            && name.utf8.allSatisfy { (97...122).contains($0) || (65...90).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 46 }
    }
}
