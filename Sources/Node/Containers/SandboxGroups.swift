// What the pods of one Namespace share: a user namespace made by a host uid of their own, and a parent control group.
//
// Host root never owns the user namespace, because the kernel would charge inotify watches and the like of every lab to
// one account. Uids come in slots of 65,536 above those that other software hands out; a slot is taken by the
// existence of STATE/run/NAMESPACE/.group/group.json, so nothing but the directory needs to survive a crash.
internal import Essentials
package import Kernel
internal import Synchronization

/// A namespace's part of the host's user ids.
package struct SandboxGroup: Sendable, Equatable {
    package let namespace: String
    package let slot: Int
    package init(namespace: String, slot: Int) {
        self.namespace = namespace
        self.slot = slot
    }
    /// systemd-nspawn ends at 0x6FFF_FFFF; user ids above 0x7FFF_FFFF trouble some file systems.
    package var first: UInt32 { 0x7000_0000 + UInt32(slot) * SandboxGroup.count }
    package static let count: UInt32 = 65536
    package static let slotLimit = 4095
    package var owner: FileOwner { FileOwner(user: first, group: first) }
}

package final class SandboxGroups: Sendable {
    private let paths: StatePaths
    private let kernel: any Kernel
    private let controlGroups: ControlGroups
    private let slots = Mutex<[String: Int]>([:])

    package init(paths: StatePaths, kernel: any Kernel, controlGroups: ControlGroups) {
        self.paths = paths
        self.kernel = kernel
        self.controlGroups = controlGroups
    }

    /// Namespaces that have anything on this machine, whole or half-made.
    package func namespaces() throws(ContainersProblem) -> [String] {
        let listed = try lifting { () throws(KernelProblem) in try kernel.list(paths.run) }
        let directories = listed.filter { kernel.isDirectory("\(paths.run)/\($0)") && !$0.hasPrefix(".") }
        return Set(directories + controlGroups.namespaces()).sorted()
    }

    /// Reads back the groups that an earlier process made. Call once, before `create`.
    package func adopt() throws(ContainersProblem) {
        for namespace in try namespaces() {
            if let group = record(namespace) { slots.withLock { $0[namespace] = group.slot } }
        }
    }

    package func existing(_ namespace: String) -> SandboxGroup? {
        slots.withLock { $0[namespace] }.map { SandboxGroup(namespace: namespace, slot: $0) }
    }

    /// Makes the group. Undoes what it did when a step fails.
    package func create(_ namespace: String) throws(ContainersProblem) -> SandboxGroup {
        guard let slot = takeSlot(namespace) else { throw .tooManyGroups(limit: SandboxGroup.slotLimit) }
        let group = SandboxGroup(namespace: namespace, slot: slot)
        do throws(ContainersProblem) {
            try lifting { () throws(KernelProblem) in
                try kernel.makeDirectory(paths.group(namespace), mode: 0o711)
                try kernel.makeDirectory(paths.groupDetails(namespace), mode: 0o700)
                try kernel.write(paths.groupDetails(namespace) + "/group.json", text: (["slot": JSON(slot)] as JSON).text)
                try kernel.makeUserNamespace(pin: paths.userNamespace(namespace), first: group.first, count: SandboxGroup.count)
            }
            try controlGroups.makeGroup(namespace)
            return group
        } catch {
            _ = try? destroy(namespace)
            throw error
        }
    }

    /// Removes the group and all below it. Processes must have been killed and links deleted before; what is left of
    /// them is killed here. `false` while something still dies: call again.
    package func destroy(_ namespace: String) throws(ContainersProblem) -> Bool {
        guard try controlGroups.remove(namespace) else { return false }
        try lifting { () throws(KernelProblem) in
            let directory = paths.group(namespace)
            for point in try kernel.mounts(below: directory).reversed() { try kernel.unmount(point) }
            try kernel.removeTree(directory)
        }
        slots.withLock { $0[namespace] = nil }
        return true
    }

    private func record(_ namespace: String) -> SandboxGroup? {
        guard let text = try? kernel.readText(paths.groupDetails(namespace) + "/group.json"), let json = try? JSON(parsing: text),
            let slot = json["slot"]?.int, (0...SandboxGroup.slotLimit).contains(slot)
        else { return nil }
        return SandboxGroup(namespace: namespace, slot: slot)
    }

    private func takeSlot(_ namespace: String) -> Int? {
        slots.withLock { slots in
            if let slot = slots[namespace] { return slot }
            let taken = Set(slots.values)
            guard let slot = (0...SandboxGroup.slotLimit).first(where: { !taken.contains($0) }) else { return nil }
            slots[namespace] = slot
            return slot
        }
    }
}
