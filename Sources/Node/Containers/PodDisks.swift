// A pod's disk: one sparse ext4 image of a fixed size, mounted through a loop device, that holds its overlay and volumes.
//
// The image is a copy of a template that mkfs made once: 64 KiB of real blocks and no program on the way to a lab. No
// journal, because a disk that outlives a crash of the machine is not wanted; full means "no space left" inside only.
internal import Essentials
package import Kernel

package struct PodDisks: Sendable {
    private let paths: StatePaths
    private let kernel: any Kernel

    package init(paths: StatePaths, kernel: any Kernel) {
        self.paths = paths
        self.kernel = kernel
    }

    /// Smaller disks cannot hold a useful file system.
    package static let smallestBytes: Int64 = 64 << 20

    private static func rounded(_ bytes: Int64) -> Int64 { ((max(bytes, smallestBytes) + (1 << 20) - 1) >> 20) << 20 }

    /// Makes the template for a size where there is none yet; takes some milliseconds.
    package func prepare(bytes: Int64) throws(ContainersProblem) {
        let size = Self.rounded(bytes)
        let template = templatePath(size)
        if kernel.exists(template) { return }
        let draft = "\(template).\(Identifier.short())"
        do throws(ContainersProblem) {
            try lifting { () throws(KernelProblem) in
                try kernel.makeDirectories(paths.cache)
                try kernel.write(draft, [], mode: 0o600, owner: nil)
                let process = try kernel.spawn(
                    Command(
                        path: "/sbin/mkfs.ext4",
                        arguments: [
                            "mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-i", "16384", "-G", "256", "-O",
                            "^has_journal,^resize_inode,sparse_super2,^metadata_csum,uninit_bg", "-E", "lazy_itable_init=1,nodiscard",
                            draft,
                            "\(size >> 10)k",
                        ], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]))
                let exit = try kernel.wait(process)
                guard exit == .exited(0) else { throw KernelProblem(call: "mkfs.ext4", subject: draft, code: Errno.inputOutput) }
                try kernel.rename(draft, to: template)
            }
        } catch {
            try? kernel.remove(draft)
            throw error
        }
    }

    /// Copies, mounts and divides the disk. The caller undoes with `unmountAll`.
    package func create(_ pod: PodPaths, bytes: Int64, owner: FileOwner) throws(ContainersProblem) {
        try prepare(bytes: bytes)
        try lifting { () throws(KernelProblem) in
            try kernel.copySparse(templatePath(Self.rounded(bytes)), to: pod.diskImage)
            try kernel.makeDirectory(pod.disk, mode: 0o711)
            try kernel.mountLoop(
                pod.diskImage, at: pod.disk, type: "ext4", options: [.noDevices, .noAccessTime],
                data: "noinit_itable,discard,errors=continue")
            try kernel.makeDirectory(pod.upper, mode: 0o755, owner: owner)
            try kernel.makeDirectory(pod.work, mode: 0o700, owner: owner)
            try kernel.makeDirectory(pod.volumes, mode: 0o711)
        }
    }

    /// Puts the image's files under the disk's changes.
    package func mountRoot(_ pod: PodPaths, image: Image, userNamespace: String) throws(ContainersProblem) {
        try lifting { () throws(KernelProblem) in
            try kernel.makeDirectory(pod.lower, mode: 0o711)
            try kernel.makeDirectory(pod.root, mode: 0o711)
            try kernel.bindMapped(image.root, at: pod.lower, userNamespace: userNamespace, readOnly: true)
            // The overlay keeps the mapped mount alive by itself. "volatile": no fsync of a learner waits for the host's disk.
            try kernel.mount(
                "overlay", at: pod.root, type: "overlay", options: [.noDevices, .noAccessTime],
                data: "lowerdir=\(pod.lower),upperdir=\(pod.upper),workdir=\(pod.work),volatile")
            try kernel.unmount(pod.lower)
        }
    }

    /// Undoes all mounts of a pod.
    package func unmountAll(_ pod: PodPaths) throws(ContainersProblem) {
        try lifting { () throws(KernelProblem) in
            for point in try kernel.mounts(below: pod.directory).reversed() { try kernel.unmount(point) }
        }
    }

    package func usedBytes(_ pod: PodPaths) -> Int64 { (try? kernel.allocatedBytes(pod.diskImage)).map { Int64(clamping: $0) } ?? 0 }

    private func templatePath(_ bytes: Int64) -> String { "\(paths.cache)/disk-\(bytes >> 20)m.ext4" }
}
