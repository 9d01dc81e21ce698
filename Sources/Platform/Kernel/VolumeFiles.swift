// What pods' volumes need of the file system: memory, links, groups, kinds of files, and paths that cannot lead out.
internal import CLinux
package import Essentials
internal import Glibc

package enum FileKind: Sendable, Equatable { case file, directory, socket, characterDevice, blockDevice, link, other }

package enum VolumeFiles {
    /// Mounts a file system in memory; without a size it may grow to half of the machine's memory.
    package static func mountMemory(at target: String, sizeBytes: Int64?, mode: UInt32 = 0o777) throws(KernelProblem) {
        var data = "mode=0\(String(mode, radix: 8))"
        if let sizeBytes { data += ",size=\(sizeBytes)" }
        if Glibc.mount("tmpfs", target, "tmpfs", UInt(MS_NOSUID | MS_NODEV), data) < 0 { throw LinuxKernel.failed("mount tmpfs", target) }
    }

    package static func makeLink(_ text: String, at path: String) throws(KernelProblem) {
        if symlink(text, path) < 0 { throw LinuxKernel.failed("symlink", path) }
    }

    package static func readLink(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count) }
        return count < 0 ? nil : String(decoding: buffer[0..<count], as: UTF8.self)
    }

    /// Of what the path leads to, or of the link itself.
    package static func kind(_ path: String, followsLinks: Bool = true) -> FileKind? {
        var status = stat()
        guard (followsLinks ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .directory
        case S_IFSOCK: return .socket
        case S_IFCHR: return .characterDevice
        case S_IFBLK: return .blockDevice
        case S_IFLNK: return .link
        default: return .other
        }
    }

    package static func modifiedSeconds(_ path: String) -> Int64? {
        var status = stat()
        return stat(path, &status) == 0 ? Int64(status.st_mtim.tv_sec) : nil
    }

    package static func setMode(_ path: String, _ mode: UInt32) throws(KernelProblem) {
        if chmod(path, mode) < 0 { throw LinuxKernel.failed("chmod", path) }
    }

    /// Gives everything below `path` to a group, readable (and writable) by it; new files in it inherit the group.
    package static func setGroup(tree path: String, _ group: UInt32, readOnly: Bool) throws(KernelProblem) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw LinuxKernel.failed("stat", path) }
        if lchown(path, uid_t.max, group) < 0 { throw LinuxKernel.failed("chown", path) }
        let kind = status.st_mode & S_IFMT
        if kind == S_IFLNK { return }
        var mode = status.st_mode & 0o7777 | (readOnly ? 0o440 : 0o660)
        if kind == S_IFDIR { mode |= 0o2110 }
        if chmod(path, mode) < 0 { throw LinuxKernel.failed("chmod", path) }
        guard kind == S_IFDIR else { return }
        for name in try LinuxKernel().list(path) { try setGroup(tree: path + "/" + name, group, readOnly: readOnly) }
    }

    /// Bytes that the files below `path` take; what cannot be read counts nothing.
    package static func usedBytes(tree path: String, limitEntries: Int = 20_000) -> Int64 {
        var left = limitEntries
        return used(path, &left)
    }

    private static func used(_ path: String, _ left: inout Int) -> Int64 {
        var status = stat()
        guard left > 0, lstat(path, &status) == 0 else { return 0 }
        left -= 1
        var sum = Int64(status.st_blocks) * 512
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in (try? LinuxKernel().list(path)) ?? [] { sum += used(path + "/" + name, &left) }
        }
        return sum
    }

    /// Binds what `path` names inside `root` at `target`, which is made to fit. No link and no `..` leads out of `root`;
    /// a path that is missing becomes a directory.
    package static func bindInside(_ root: String, _ path: String, at target: String) throws(KernelProblem) {
        let top = try LinuxKernel.open(root, O_RDONLY | O_DIRECTORY)
        var found = cl_open_in_root(top.number, path, 0x20_0000 /* O_PATH */, 0)
        if found < 0, errno == ENOENT {
            try makeDirectories(path, inside: top)
            found = cl_open_in_root(top.number, path, 0x20_0000, 0)
        }
        guard found >= 0 else { throw LinuxKernel.failed("openat2", path) }
        let source = OwnedDescriptor(found)
        let link = "/proc/self/fd/\(source.number)"
        let kernel = LinuxKernel()
        if kind(link) == .directory {
            try kernel.makeDirectory(target)
        } else if !kernel.exists(target) {
            try kernel.write(target, [], mode: 0o644, owner: nil)
        }
        if Glibc.mount(link, target, nil, UInt(MS_BIND | MS_REC), nil) < 0 { throw LinuxKernel.failed("bind", target) }
    }

    private static func makeDirectories(_ path: String, inside top: OwnedDescriptor) throws(KernelProblem) {
        var parent = top
        var walked = ""
        for part in path.split(separator: "/") where part != "." {
            walked += (walked.isEmpty ? "" : "/") + part
            var next = cl_open_in_root(top.number, walked, O_RDONLY | O_DIRECTORY, 0)
            if next < 0, errno == ENOENT {
                if mkdirat(parent.number, String(part), 0o750) < 0, errno != EEXIST { throw LinuxKernel.failed("mkdirat", walked) }
                next = cl_open_in_root(top.number, walked, O_RDONLY | O_DIRECTORY, 0)
            }
            guard next >= 0 else { throw LinuxKernel.failed("openat2", walked) }
            parent = OwnedDescriptor(next)
        }
    }
}

extension LinuxKernel {
    /// A non-blocking TCP socket in this process' own network, connected or connecting.
    package func connect(address: String, port: UInt16) throws(KernelProblem) -> OwnedDescriptor {
        let subject = "\(address):\(port)"
        var target = in_addr()
        guard inet_pton(AF_INET, address, &target) == 1 else { throw KernelProblem(call: "connect", subject: subject, code: EINVAL) }
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), Int32(IPPROTO_TCP))
        guard number >= 0 else { throw Self.failed("socket", subject) }
        let descriptor = OwnedDescriptor(number)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr = target
        let result = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result < 0, errno != EINPROGRESS { throw Self.failed("connect", subject) }
        return descriptor
    }

    /// What became of a connection in the making: 0, or the error's number.
    package func connectError(_ descriptor: OwnedDescriptor) -> Int32 {
        var failure: Int32 = 0
        var size = socklen_t(4)
        return getsockopt(descriptor.number, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 ? failure : errno
    }

    /// The IPv4 address of the link that the default route uses, or of the first one that is up and no loopback.
    package func mainAddress() -> String? {
        let routes = ((try? readText("/proc/net/route")) ?? "").split(separator: "\n").dropFirst()
        let usual = routes.map { $0.split(separator: "\t") }.first { $0.count > 1 && $0[1] == "00000000" }.map { String($0[0]) }
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        var first: String?
        var entry = list
        while let current = entry {
            defer { entry = current.pointee.ifa_next }
            guard let address = current.pointee.ifa_addr, Int32(address.pointee.sa_family) == AF_INET else { continue }
            let name = String(cString: current.pointee.ifa_name)
            guard name != "lo" else { continue }
            var text = [CChar](repeating: 0, count: 64)
            let isRead = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                inet_ntop(AF_INET, &pointer.pointee.sin_addr, &text, 64) != nil
            }
            guard isRead else { continue }
            let found = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if name == usual { return found }
            first = first ?? found
        }
        return first
    }
}
