// The system calls a node may not make: a deny list, because a node is a whole machine that runs containers itself.
package import Essentials

package enum SeccompProfile {
    /// Programs inside probe for these and go on without, but only when told that the kernel lacks them.
    private static let missing = [
        "add_key", "io_uring_enter", "io_uring_register", "io_uring_setup", "keyctl", "request_key", "userfaultfd",
    ]

    private static let denied = [
        "acct", "bpf", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "create_module", "delete_module",
        "finit_module", "get_kernel_syms", "init_module", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "lookup_dcookie",
        "nfsservctl", "open_by_handle_at", "perf_event_open", "query_module", "quotactl", "quotactl_fd", "settimeofday", "stime",
        "swapoff", "swapon", "sysfs", "_sysctl", "uselib", "vm86", "vm86old",
    ]

    #if arch(arm64)
        private static let architectures = ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    #else
        private static let architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    #endif

    package static let configuration: JSON = [
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": JSON(architectures),
        "syscalls": [
            ["names": JSON(missing), "action": "SCMP_ACT_ERRNO", "errnoRet": 38],
            ["names": JSON(denied), "action": "SCMP_ACT_ERRNO", "errnoRet": 1],
            // AF_ALG (38) and AF_VSOCK (40): kernel crypto, and the way to a hypervisor.
            ["names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": [["index": 0, "value": 38, "op": "SCMP_CMP_EQ"]]],
            ["names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": [["index": 0, "value": 40, "op": "SCMP_CMP_EQ"]]],
            // TIOCSTI and TIOCLINUX type into a terminal that someone else reads. Only the low 32 bits count.
            [
                "names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                "args": [["index": 1, "value": 0xFFFF_FFFF, "valueTwo": 0x5412, "op": "SCMP_CMP_MASKED_EQ"]],
            ],
            [
                "names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                "args": [["index": 1, "value": 0xFFFF_FFFF, "valueTwo": 0x541C, "op": "SCMP_CMP_MASKED_EQ"]],
            ],
        ],
    ]
}
