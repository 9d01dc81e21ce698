// Capabilities by name: what containers have by default, and what a securityContext makes of it.
package import Essentials

package enum Capabilities {
    /// In the kernel's order (linux/capability.h).
    static let names = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
        "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
        "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
        "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ]

    /// What containerd gives a container whose Pod says nothing.
    static let usual = [
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE",
        "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    ]

    /// Bits by number, never more than `bounding`. `nil` with the name of one that does not exist.
    package static func choose(_ context: JSON, isPrivileged: Bool, bounding: UInt64) -> Result<UInt64, UnknownCapability> {
        if isPrivileged { return .success(bounding) }
        var chosen: UInt64 = 0
        for name in usual { if let number = names.firstIndex(of: name) { chosen |= 1 << UInt64(number) } }
        let wishes = context["capabilities"] ?? .null
        let drops = (wishes["drop"]?.array ?? []).compactMap(\.string)
        let adds = (wishes["add"]?.array ?? []).compactMap(\.string)
        if drops.contains(where: { $0.uppercased() == "ALL" }) { chosen = 0 }
        if adds.contains(where: { $0.uppercased() == "ALL" }) { chosen = .max }
        for (list, isAdded) in [(adds, true), (drops, false)] {
            for text in list where text.uppercased() != "ALL" {
                let upper = text.uppercased()
                let name = upper.hasPrefix("CAP_") ? String(upper.dropFirst(4)) : upper
                guard let number = names.firstIndex(of: name) else { return .failure(UnknownCapability(name: "CAP_" + name)) }
                if isAdded { chosen |= 1 << UInt64(number) } else { chosen &= ~(1 << UInt64(number)) }
            }
        }
        return .success(chosen & bounding)
    }

    package struct UnknownCapability: Error, Equatable {
        package var name: String
        package init(name: String) { self.name = name }
    }

    static func list(_ bits: UInt64) -> [String] {
        names.indices.filter { bits >> UInt64($0) & 1 == 1 }.map { "CAP_" + names[$0] }
    }
}
