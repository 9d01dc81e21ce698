// Tells when something in a folder changes (inotify), also when the folder itself comes later. It costs nothing meanwhile.
internal import CLinux
internal import Essentials
internal import Glibc
internal import Synchronization

package final class FolderWatch: Sendable {
    private let folder: String
    private let descriptor: OwnedDescriptor
    private let readiness: Readiness
    private let watch = Mutex<(path: String, number: Int32)>(("", -1))
    private let identifier = Mutex<UInt64?>(nil)
    /// One element for any number of changes that nobody has seen yet; the first comes at once.
    package let changes: AsyncStream<Void>
    private let input: AsyncStream<Void>.Continuation

    package init(_ folder: String, on readiness: Readiness) throws(KernelProblem) {
        self.folder = folder
        self.readiness = readiness
        let number = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard number >= 0 else { throw LinuxKernel.failed("inotify_init", folder) }
        descriptor = OwnedDescriptor(number)
        (changes, input) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        arm()
        input.yield()
        let watching = try readiness.watch(descriptor) { [weak self] in
            guard let self else { return .stop }
            drain()
            arm()
            input.yield()
            return .again
        }
        identifier.withLock { $0 = watching }
    }

    deinit { close() }

    package func close() {
        if let watching = identifier.withLock({ value in
            defer { value = nil }
            return value
        }) {
            readiness.cancel(watching)
        }
        input.finish()
    }

    // Watches the folder, or where there is none the nearest folder above it.
    private func arm() {
        var path = folder
        let events =
            UInt32(IN_CREATE) | UInt32(IN_CLOSE_WRITE) | UInt32(IN_MOVED_TO) | UInt32(IN_MOVED_FROM) | UInt32(IN_DELETE)
            | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)
        watch.withLock { watch in
            var attempts = 0
            while attempts < 64 {
                attempts += 1
                let number = inotify_add_watch(descriptor.number, path, events)
                if number >= 0 {
                    if watch.number >= 0, watch.number != number { inotify_rm_watch(descriptor.number, watch.number) }
                    watch = (path, number)
                    // The folder may have come while its parent was being watched.
                    if path == folder || VolumeFiles.kind(folder) == nil { return }
                    path = folder
                    continue
                }
                guard path != "/", let slash = path.lastIndex(of: "/") else { return }
                path = slash == path.startIndex ? "/" : String(path[..<slash])
            }
        }
    }

    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = read(descriptor.number, &buffer, buffer.count)
            if count <= 0 { return }
        }
    }
}
