// The real kernel, part two: mounts, idmapped binds and loop devices.
internal import CLinux
internal import Essentials
internal import Glibc

extension LinuxKernel {
    package func mount(_ source: String, at target: String, type: String, options: MountOptions, data: String) throws(KernelProblem) {
        if Glibc.mount(source, target, type, options.rawValue, data) < 0 { throw Self.failed("mount \(type)", target) }
    }

    package func bind(_ source: String, at target: String) throws(KernelProblem) {
        if Glibc.mount(source, target, nil, UInt(MS_BIND), nil) < 0 { throw Self.failed("bind", target) }
    }

    package func bindMapped(_ source: String, at target: String, userNamespace: String, readOnly: Bool) throws(KernelProblem) {
        let namespace = try Self.open(userNamespace, O_RDONLY)
        let number = open_tree(AT_FDCWD, source, UInt32(OPEN_TREE_CLONE) | UInt32(O_CLOEXEC))
        guard number >= 0 else { throw Self.failed("open_tree", source) }
        let tree = OwnedDescriptor(number)
        guard cl_idmap(tree.number, namespace.number, readOnly ? 1 : 0) == 0 else { throw Self.failed("mount_setattr", source) }
        guard move_mount(tree.number, "", AT_FDCWD, target, UInt32(MOVE_MOUNT_F_EMPTY_PATH)) == 0 else {
            throw Self.failed("move_mount", target)
        }
    }

    package func unmount(_ target: String) throws(KernelProblem) {
        if umount2(target, Int32(MNT_DETACH) | 8 /* UMOUNT_NOFOLLOW */) < 0, errno != EINVAL, errno != ENOENT {
            throw Self.failed("umount", target)
        }
    }

    package func mounts(below path: String) throws(KernelProblem) -> [String] {
        let text = String(decoding: try read("/proc/thread-self/mountinfo", limitBytes: 64 << 20), as: UTF8.self)
        return MountTable.points(in: text, below: path)
    }

    package func mountLoop(_ image: String, at target: String, type: String, options: MountOptions, data: String) throws(KernelProblem) {
        let device = try Self.attachLoop(image)
        // The device goes with the mount (AUTOCLEAR), and with this descriptor when the mount fails.
        defer { device.descriptor.close() }
        try mount(device.path, at: target, type: type, options: options, data: data)
    }

    private static func attachLoop(_ image: String) throws(KernelProblem) -> (path: String, descriptor: OwnedDescriptor) {
        let control = try open("/dev/loop-control", O_RDWR)
        let backing = try open(image, O_RDWR)
        var attempts = 0
        while true {
            let index = cl_ioctl_int(control.number, 0x4C82 /* LOOP_CTL_GET_FREE */, 0)
            guard index >= 0 else { throw failed("LOOP_CTL_GET_FREE", image) }
            let path = "/dev/loop\(index)"
            let device = try open(path, O_RDWR)
            var configuration = loop_config()
            configuration.fd = UInt32(backing.number)
            configuration.info.lo_flags = UInt32(LO_FLAGS_AUTOCLEAR)
            let name = Array(image.utf8.suffix(63))
            withUnsafeMutableBytes(of: &configuration.info.lo_file_name) { $0.copyBytes(from: name) }
            if cl_ioctl_pointer(device.number, 0x4C0A /* LOOP_CONFIGURE */, &configuration) == 0 { return (path, device) }
            // Another process took the device between the two calls.
            attempts += 1
            guard errno == EBUSY, attempts < 100 else { throw failed("LOOP_CONFIGURE", image) }
        }
    }
}

/// Reads /proc/PID/mountinfo.
package enum MountTable {
    /// Mount points at or below `path`, outermost first.
    package static func points(in text: String, below path: String) -> [String] {
        var points: [String] = []
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            guard fields.count > 4 else { continue }
            let point = unescape(fields[4])
            if point == path || (point.hasPrefix(path) && point.utf8.dropFirst(path.utf8.count).first == UInt8(ascii: "/")) {
                points.append(point)
            }
        }
        return points
    }

    // Space, tab, newline and backslash stand as \040, \011, \012 and \134.
    private static func unescape(_ field: Substring.UTF8View.SubSequence) -> String {
        let bytes = Array(field)
        guard bytes.contains(UInt8(ascii: "\\")) else { return String(decoding: bytes, as: UTF8.self) }
        var output: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count,
                let code = UInt8(String(decoding: bytes[index + 1...index + 3], as: UTF8.self), radix: 8)
            {
                output.append(code)
                index += 4
            } else {
                output.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
