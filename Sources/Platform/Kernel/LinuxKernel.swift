// The real kernel, part one: the value itself and its file calls.
internal import CLinux
package import Essentials
internal import Glibc

/// Speaks to Linux. It holds nothing; every call acts for the calling thread.
package struct LinuxKernel: Kernel {
    package init() {}

    static func failed(_ call: String, _ subject: String) -> KernelProblem {
        KernelProblem(call: call, subject: subject, code: errno)
    }

    static func open(_ path: String, _ flags: Int32, mode: UInt32 = 0) throws(KernelProblem) -> OwnedDescriptor {
        let descriptor = cl_open(path, flags, mode)
        guard descriptor >= 0 else { throw failed("open", path) }
        return OwnedDescriptor(descriptor)
    }

    static func writeAll(_ descriptor: Int32, _ bytes: [UInt8], path: String) throws(KernelProblem) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
            if count < 0 {
                if errno == EINTR { continue }
                throw failed("write", path)
            }
            done += count
        }
    }
}

extension LinuxKernel {
    package func makeDirectory(_ path: String, mode: UInt32, owner: FileOwner?) throws(KernelProblem) {
        if mkdir(path, mode) < 0 {
            if errno == EEXIST { return }
            throw Self.failed("mkdir", path)
        }
        // The process' umask must not decide what a node may read.
        if chmod(path, mode) < 0 { throw Self.failed("chmod", path) }
        if let owner, lchown(path, owner.user, owner.group) < 0 { throw Self.failed("chown", path) }
    }

    package func write(_ path: String, _ bytes: [UInt8], mode: UInt32, owner: FileOwner?) throws(KernelProblem) {
        let file = try Self.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
        if fchmod(file.number, mode) < 0 { throw Self.failed("chmod", path) }
        if let owner, fchown(file.number, owner.user, owner.group) < 0 { throw Self.failed("chown", path) }
        try Self.writeAll(file.number, bytes, path: path)
    }

    package func control(_ path: String, _ value: String) throws(KernelProblem) {
        let file = try Self.open(path, O_WRONLY)
        try Self.writeAll(file.number, Array(value.utf8), path: path)
    }

    package func read(_ path: String, limitBytes: Int) throws(KernelProblem) -> [UInt8] {
        let file = try Self.open(path, O_RDONLY)
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limitBytes, 65536))
        while bytes.count < limitBytes {
            let count = Glibc.read(file.number, &chunk, min(chunk.count, limitBytes - bytes.count))
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failed("read", path)
            }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[0..<count])
        }
        return bytes
    }

    package func list(_ path: String) throws(KernelProblem) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT || errno == ENOTDIR { return [] }
            throw Self.failed("opendir", path)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    package func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    package func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && cl_stat_is_directory(status.st_mode) != 0
    }

    package func rename(_ from: String, to: String) throws(KernelProblem) {
        if Glibc.rename(from, to) < 0 { throw Self.failed("rename", from) }
    }

    package func remove(_ path: String) throws(KernelProblem) {
        if Glibc.remove(path) < 0, errno != ENOENT { throw Self.failed("remove", path) }
    }

    package func removeTree(_ path: String) throws(KernelProblem) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw Self.failed("stat", path)
        }
        guard cl_stat_is_directory(status.st_mode) != 0 else { return try remove(path) }
        let parent = try Self.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try Self.empty(parent.number, device: status.st_dev, path: path)
        try remove(path)
    }

    // Works with descriptors, so that a path cannot be changed under it, and stops at the edge of the file system.
    private static func empty(_ directory: Int32, device: dev_t, path: String) throws(KernelProblem) {
        let copy = dup(directory)
        guard copy >= 0, let stream = fdopendir(copy) else { throw failed("opendir", path) }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            if unlinkat(directory, name, 0) == 0 || errno == ENOENT { continue }
            guard errno == EISDIR || errno == EPERM else { throw failed("unlink", path + "/" + name) }
            let child = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard child >= 0 else { throw failed("open", path + "/" + name) }
            let owned = OwnedDescriptor(child)
            var status = stat()
            guard fstat(child, &status) == 0, status.st_dev == device else {
                throw KernelProblem(call: "removeTree", subject: path + "/" + name, code: EXDEV)
            }
            try empty(owned.number, device: device, path: path + "/" + name)
            if unlinkat(directory, name, AT_REMOVEDIR) < 0, errno != ENOENT { throw failed("rmdir", path + "/" + name) }
        }
    }

    package func changeOwner(_ path: String, _ owner: FileOwner) throws(KernelProblem) {
        if lchown(path, owner.user, owner.group) < 0 { throw Self.failed("chown", path) }
    }

    package func copySparse(_ from: String, to: String) throws(KernelProblem) {
        let source = try Self.open(from, O_RDONLY)
        let target = try Self.open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
        if cl_ioctl_int(target.number, 0x4004_9409 /* FICLONE */, Int(source.number)) == 0 { return }
        var status = stat()
        guard fstat(source.number, &status) == 0 else { throw Self.failed("stat", from) }
        if ftruncate(target.number, status.st_size) < 0 { throw Self.failed("truncate", to) }
        var position: off_t = 0
        while position < status.st_size {
            let start = lseek(source.number, position, 3 /* SEEK_DATA */)
            if start < 0 {
                if errno == ENXIO { return }
                throw Self.failed("seek", from)
            }
            let end = lseek(source.number, start, 4 /* SEEK_HOLE */)
            guard end >= 0 else { throw Self.failed("seek", from) }
            var read = start
            var write = start
            while read < end {
                let count = copy_file_range(source.number, &read, target.number, &write, Int(end - read), 0)
                if count <= 0 { throw Self.failed("copy", to) }
            }
            position = end
        }
    }

    package func usage(ofFileSystem path: String) throws(KernelProblem) -> FileSystemUsage {
        var status = statfs()
        guard statfs(path, &status) == 0 else { throw Self.failed("statfs", path) }
        let block = UInt64(status.f_bsize)
        return FileSystemUsage(totalBytes: UInt64(status.f_blocks) * block, freeBytes: UInt64(status.f_bavail) * block)
    }

    package func allocatedBytes(_ path: String) throws(KernelProblem) -> UInt64 {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw Self.failed("stat", path) }
        return UInt64(status.st_blocks) * 512
    }

    package func makeFIFO(_ path: String) throws(KernelProblem) {
        if mkfifo(path, 0o600) < 0, errno != EEXIST { throw Self.failed("mkfifo", path) }
    }

    package func openFIFO(_ path: String, blocking: Bool) throws(KernelProblem) -> OwnedDescriptor {
        try Self.open(path, O_RDWR | O_NOFOLLOW | (blocking ? 0 : O_NONBLOCK))
    }

    package func makePipe() throws(KernelProblem) -> (OwnedDescriptor, OwnedDescriptor) {
        var ends: [Int32] = [0, 0]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw Self.failed("pipe", "") }
        return (OwnedDescriptor(ends[0]), OwnedDescriptor(ends[1]))
    }

    package func send(_ bytes: [UInt8], to descriptor: OwnedDescriptor) throws(KernelProblem) {
        try Self.writeAll(descriptor.number, bytes, path: "descriptor")
    }

    package func receive(from descriptor: OwnedDescriptor, limitBytes: Int) throws(KernelProblem) -> [UInt8]? {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limitBytes) { buffer, count in
            var result: Int
            repeat { result = Glibc.read(descriptor.number, buffer.baseAddress, limitBytes) } while result < 0 && errno == EINTR
            if result < 0 { failure = errno }
            count = max(0, result)
        }
        if failure == EAGAIN { return nil }
        if failure != 0 { throw KernelProblem(call: "read", subject: "descriptor", code: failure) }
        return bytes
    }

    package func openForAppending(_ path: String) throws(KernelProblem) -> OwnedDescriptor {
        try Self.open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o600)
    }
}
