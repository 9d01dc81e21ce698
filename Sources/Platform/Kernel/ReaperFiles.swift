// Small files of the node, whole: what the node agent reads from /proc, and what it moves in and out.
internal import CLinux
internal import Glibc

package enum ReaperFiles {
    /// The bytes of a regular file (or a file of /proc). More than `limitBytes` is an error.
    package static func read(_ path: String, limitBytes: Int) throws(PTYProblem) -> [UInt8] {
        // Nonblocking, so that a FIFO or a device cannot hold up the loop.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw PTYProblem("\(path) could not be opened") }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw PTYProblem("\(path) could not be read") }
        guard information.st_mode & S_IFMT == S_IFREG else { throw PTYProblem("\(path) is not a regular file", EINVAL) }
        guard information.st_size <= limitBytes else { throw PTYProblem("\(path) is larger than \(limitBytes) bytes", EFBIG) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(information.st_size))
        while true {
            switch PTYFiles.read(descriptor, limitBytes: 64 << 10) {
            case .bytes(let more):
                bytes += more
                guard bytes.count <= limitBytes else { throw PTYProblem("\(path) is larger than \(limitBytes) bytes", EFBIG) }
            case .nothing, .ended: return bytes
            }
        }
    }

    /// Puts a whole file in place of what was at `path`, or nothing: a reader never sees half of it.
    package static func replace(_ path: String, with bytes: [UInt8], mode: UInt32, makeParents: Bool) throws(PTYProblem) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        if makeParents {
            var parent = ""
            for part in parts.dropLast() {
                parent += "/" + part
                guard mkdir(parent, 0o755) == 0 || errno == EEXIST else { throw PTYProblem("The directory \(parent) could not be made") }
            }
        }
        var existing = stat()
        if stat(path, &existing) == 0, existing.st_mode & S_IFMT == S_IFDIR { throw PTYProblem("\(path) is a directory", EISDIR) }
        let temporary = "/" + parts.dropLast().joined(separator: "/") + "/.lectern-\(getpid())-\(parts.last ?? "")"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw PTYProblem("\(path) could not be written") }
        var failure: PTYProblem?
        var done = 0
        while done < bytes.count, failure == nil {
            let written = PTYFiles.write(descriptor, bytes, from: done)
            if written <= 0 { failure = PTYProblem("\(path) could not be written") }
            done += written
        }
        fchmod(descriptor, mode)
        if close(descriptor) != 0, failure == nil { failure = PTYProblem("\(path) could not be written") }
        if failure == nil, rename(temporary, path) != 0 { failure = PTYProblem("\(path) could not be put in place") }
        if let failure {
            unlink(temporary)
            throw failure
        }
    }

    /// Opens a FIFO at both ends, so that what is in it stays; nil for anything else.
    package static func holdFIFO(_ path: String) -> Int32? {
        let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        var information = stat()
        if fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFIFO { return descriptor }
        close(descriptor)
        return nil
    }

    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
    package static func remove(_ path: String) { unlink(path) }
    package static func move(_ from: String, to: String) { _ = rename(from, to) }
    package static func link(_ path: String, to target: String) -> Bool { symlink(target, path) == 0 }

    package static func makeDirectories(_ path: String) {
        var current = ""
        for part in path.split(separator: "/") {
            current += "/" + part
            mkdir(current, 0o755)
        }
    }

    /// Bytes of a file; 0 where there is none.
    package static func size(_ path: String) -> Int {
        var information = stat()
        return stat(path, &information) == 0 ? Int(information.st_size) : 0
    }

    /// False when not all could be written.
    package static func append(_ path: String, _ bytes: [UInt8]) -> Bool {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return PTYFiles.write(descriptor, bytes) == bytes.count
    }

    package static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    package static func linkTarget(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), 256) }
        return count > 0 ? String(decoding: buffer[0..<count], as: UTF8.self) : nil
    }

    /// The name of a process, as `ps` shows it first.
    package static func processName(_ pid: Int32) -> String? {
        guard let bytes = try? read("/proc/\(pid)/comm", limitBytes: 256) else { return nil }
        return String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
    }
}
