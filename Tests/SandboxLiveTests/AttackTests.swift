// Each attack of docs/threat-model.md from inside a node, as the node's root with all that a node may have.
import Containers
import Essentials
import Glibc
import Kernel
import Kubelet
import Network
import Testing

extension SandboxLiveTests {
    @Suite struct AttackTests {
        @Test func aForkBombStopsAtTheProcessLimit() async throws {
            try await Bench.with { bench in
                let text = try await bench.output(
                    of: """
                        python3 - <<'END'
                        import os, errno, signal
                        n = 0
                        children = []
                        try:
                            while n < 100000:
                                pid = os.fork()
                                if pid == 0:
                                    signal.pause()
                                children.append(pid)
                                n += 1
                        except OSError as error:
                            print('stopped', errno.errorcode[error.errno], n < 256)
                        END
                        """)
                #expect(text.contains("stopped EAGAIN True"))
            }
        }

        @Test func aMemoryHogDiesInsideItsNode() async throws {
            try await Bench.with { bench in
                let text = try await bench.output(
                    of: "python3 -c 'x=[]\nwhile True: x.append(bytearray(8<<20))'; echo status $?; echo alive",
                    configure: { $0.limits.memoryBytes = 128 << 20 })
                #expect(text.contains("status 137") && text.contains("alive"))
            }
        }

        @Test func aFullDiskIsFullInsideOnly() async throws {
            try await Bench.with { bench in
                let before = try Host.kernel.usage(ofFileSystem: bench.state)
                let text = try await bench.output(
                    of: "dd if=/dev/zero of=/fill bs=1M count=4096 2>&1; rm /fill; echo again > /small && cat /small",
                    configure: { $0.diskBytes = 128 << 20 })
                #expect(text.contains("No space left on device"))
                #expect(text.contains("again"))
                let after = try Host.kernel.usage(ofFileSystem: bench.state)
                #expect(Int64(before.freeBytes) - Int64(after.freeBytes) < 512 << 20)
            }
        }

        @Test func memoryFileSystemsHaveSizes() async throws {
            try await Bench.with { bench in
                let text = try await bench.output(
                    of:
                        "for d in /run /dev/shm /dev; do dd if=/dev/zero of=$d/fill bs=1M count=512 2>&1 | grep -c 'No space'; rm -f $d/fill; done; echo done"
                )
                #expect(text.contains("1\n1\n1\ndone"))
            }
        }

        @Test func theHostsKernelIsNotTheNodesToSet() async throws {
            try await Bench.with { bench in
                let text = try await bench.output(
                    of: """
                        try() { name=$1; shift; if sh -c "$*" >/tmp/out 2>&1; then echo "$name ALLOWED $(head -c 200 /tmp/out)"; else echo "$name refused"; fi; }
                        try dmesg 'dmesg | grep .'
                        try mknod-disk 'mknod /tmp/disk b 254 0'
                        try mknod-mem 'mknod /tmp/mem c 1 1'
                        try core-pattern 'echo "|/tmp/x" > /proc/sys/kernel/core_pattern'
                        try swappiness 'echo 1 > /proc/sys/vm/swappiness'
                        try modprobe 'echo /tmp/x > /proc/sys/kernel/modprobe'
                        try hotplug 'echo /tmp/x > /sys/kernel/uevent_helper'
                        try sysrq 'echo b > /proc/sysrq-trigger'
                        try kptr 'echo 0 > /proc/sys/kernel/kptr_restrict'
                        try release-agent 'mkdir -p /tmp/cg && mount -t cgroup -o memory none /tmp/cg && echo /tmp/x > /tmp/cg/release_agent'
                        try release-agent-visible 'echo /tmp/x > /sys/fs/cgroup/memory/release_agent'
                        try raise-memory 'echo 99999999999 > /sys/fs/cgroup/memory/memory.limit_in_bytes'
                        try raise-pids 'echo max > /sys/fs/cgroup/pids/pids.max'
                        try raise-memory-2 'test -e /sys/fs/cgroup/memory.max && echo max > /sys/fs/cgroup/memory.max'
                        try clock 'date -s 2001-01-01'
                        try mount-disk 'mount -t ext4 /dev/vda /mnt'
                        try mount-devtmpfs 'mount -t devtmpfs none /mnt'
                        try mount-debugfs 'mount -t debugfs none /mnt'
                        try mount-tracefs 'mount -t tracefs none /mnt'
                        try mount-bpf 'mount -t bpf none /mnt'
                        try mount-securityfs 'mount -t securityfs none /mnt'
                        try kcore 'test -e /proc/kcore && head -c 16 /proc/kcore | grep -c .'
                        try kmem 'head -c 16 /dev/mem'
                        try loop 'losetup -f /etc/hosts'
                        try module 'python3 -c "import ctypes" ; insmod /tmp/x.ko'
                        try reboot-host 'test $(cat /proc/1/comm) != sh && kill -9 1'
                        try oom-others 'echo -1000 > /proc/self/oom_score_adj'
                        try nice 'nice -n -20 true && test $(nice -n -20 nice) = -20'
                        """)
                let lines = text.split(separator: "\n")
                let allowed = lines.filter { $0.contains("ALLOWED") }.filter { !$0.hasPrefix("nice ") }
                #expect(allowed.isEmpty)
                #expect(lines.filter { $0.hasSuffix("refused") }.count >= 26)
            }
        }

        @Test func deniedSystemCallsAnswerAsProgramsExpect() async throws {
            try await Bench.with { bench in
                let text = try await bench.output(
                    of: """
                        python3 - <<'END'
                        import os, socket, fcntl, ctypes, errno
                        libc = ctypes.CDLL(None, use_errno=True)
                        def call(name, number, *arguments):
                            result = libc.syscall(number, *arguments)
                            print(name, errno.errorcode.get(ctypes.get_errno(), '?') if result < 0 else 'ALLOWED')
                        call('keyctl', 250, 0, 0, 0)
                        call('io_uring', 425, 1, 0)
                        call('userfaultfd', 323, 0)
                        call('bpf', 321, 0, 0, 0)
                        call('perf', 298, 0, 0, 0, 0, 0)
                        call('kexec', 246, 0, 0, 0, 0)
                        call('open_by_handle_at', 304, 0, 0, 0)
                        for family in (38, 40):
                            try:
                                socket.socket(family, socket.SOCK_STREAM)
                                print('family', family, 'ALLOWED')
                            except OSError as error: print('family', family, errno.errorcode[error.errno])
                        END
                        """)
                // The image has no ctypes when it is minimal; the test then says nothing about system calls by number.
                #expect(!text.contains("ALLOWED"))
            }
        }

        @Test func labsCannotReachOneAnotherOrTheHost() async throws {
            try await Bench.with { bench in
                _ = try await bench.sandboxes.create(
                    bench.plan("node1", namespace: "lab-other", "exec python3 -m http.server 8000 2>/dev/null || exec sleep infinity"),
                    address: "172.30.0.21",
                    egress: .none, record: .emptyObject)
                let listener = try Listener()
                defer { listener.close() }
                let hostAddresses = try Host.addresses()
                let targets = ["127.0.0.1"] + hostAddresses
                let text = try await bench.output(
                    of: """
                        python3 - <<'END'
                        import socket, time
                        for target in \(targets) + ['172.30.0.1', '172.30.0.21', '169.254.169.254', '8.8.8.8', '100.64.0.0']:
                            start = time.monotonic()
                            try:
                                c = socket.create_connection((target, \(listener.port)), 3)
                                print(target, 'REACHED')
                            except OSError as error:
                                # An address of the lab's own network that no node has is waited for, as on any network.
                                print(target, 'refused', target == '172.30.0.21' or time.monotonic() - start < 2)
                        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect(('8.8.8.8', 53)); s.send(b'x')
                        try: s.recv(1); print('udp REACHED')
                        except ConnectionRefusedError: print('udp refused')
                        except OSError as error: print('udp', error)
                        END
                        ping -c 1 -W 1 172.30.0.21 >/dev/null && echo 'ping REACHED' || echo 'ping no'
                        ping -c 1 -W 1 9.9.9.9 >/dev/null && echo 'ping REACHED' || echo 'ping no'
                        ping -c 1 -W 1 8.8.8.8 >/dev/null && echo 'ping answered by the router' || echo 'ping no'
                        """)
                #expect(!text.contains("REACHED"))
                // Lessons ping this address; the lab's own router answers for it, and nothing leaves the lab.
                #expect(text.contains("ping answered by the router"))
                #expect(text.contains("udp refused"))
                #expect(!text.contains("False"))
                #expect(text.split(separator: "\n").count >= targets.count + 7)
            }
        }

        @Test func nodesOfOneLabReachOneAnother() async throws {
            try await Bench.with { bench in
                _ = try await bench.sandboxes.create(
                    bench.plan(
                        "node1",
                        "python3 -c \"import socket;s=socket.create_server(('0.0.0.0',7000));c,a=s.accept();c.send(('hello '+a[0]).encode());c.close();c,a=s.accept();c.send(b'again');c.close()\""
                    ),
                    address: "172.30.0.11", egress: .none, record: .emptyObject)
                let text = try await bench.output(
                    of:
                        "sleep 0.3; python3 -c \"import socket;c=socket.create_connection(('node1',7000),3);print(c.recv(100))\"; ping -c 1 -W 1 node1 > /dev/null && echo pong",
                    pod: "node2", address: "172.30.0.12")
                #expect(text.contains("hello 172.30.0.12") && text.contains("pong"))
                let socket = try await bench.sandboxes.openPort(namespace: "lab-a", pod: "node1", port: 7000)
                waitReadable(socket, milliseconds: 3000)
                #expect(try Host.kernel.receive(from: socket, limitBytes: 100) == Array("again".utf8))
            }
        }

        @Test func forgedHardwareAndRouterAddressesAreIgnored() async throws {
            try await Bench.with { bench in
                _ = try await bench.sandboxes.create(bench.plan("node1"), address: "172.30.0.11", egress: .none, record: .emptyObject)
                let text = try await bench.output(
                    of: """
                        ping -c 1 -W 1 172.30.0.11 >/dev/null && echo before
                        ip link set eth0 address 02:00:00:00:00:99
                        ping -c 1 -W 1 172.30.0.11 >/dev/null && echo FORGED
                        ip link set eth0 address 0a:58:ac:1e:00:0c
                        ip route replace default via 172.30.0.1
                        ip addr add 172.30.0.11/32 dev eth0
                        ping -c 1 -W 1 -I 172.30.0.11 172.30.0.1 >/dev/null && echo STOLEN
                        ip addr del 172.30.0.11/32 dev eth0
                        ping -c 1 -W 1 172.30.0.11 >/dev/null && echo after
                        """, pod: "node2", address: "172.30.0.12")
                #expect(text.contains("before") && text.contains("after"))
                #expect(!text.contains("FORGED") && !text.contains("STOLEN"))
            }
        }

        @Test func namespacesOfTheHostAreOutOfReach() async throws {
            try await Bench.with { bench in
                let text = try await bench.output(
                    of: """
                        for n in mnt pid net user uts ipc cgroup; do nsenter --$n=/proc/1/ns/$n true >/dev/null 2>&1; done
                        ls /proc | grep -c '^[0-9]'
                        ls \(bench.state) 2>&1
                        chroot /proc/1/root ls \(bench.state) 2>&1
                        cat /proc/1/environ | tr '\\0' '\\n' | grep -c LECTERN
                        python3 -c "
                        import os
                        # A node's root is nobody to the files of the host that it can see.
                        print('uid', os.stat('/proc/sys/kernel').st_uid, os.stat('/dev/null').st_uid)"
                        unshare -Ur true && echo nested-user-namespace
                        unshare -m mount -t tmpfs none /mnt && echo nested-mount
                        unshare -n ip link set lo up && echo nested-network
                        ip netns add x && ip netns exec x true && echo netns
                        """)
                #expect(text.components(of: "No such file or directory") == 2)
                #expect(text.contains("nested-user-namespace") && text.contains("nested-mount") && text.contains("nested-network"))
                #expect(text.contains("\nnetns"))
                #expect(text.contains("uid 65534 65534"))
            }
        }

        @Test func oneLabsInotifyIsNotTheOthers() async throws {
            try await Bench.with { bench in
                let hog = """
                    python3 -c "
                    import ctypes
                    libc = ctypes.CDLL(None)
                    n = 0
                    while n < 1000 and libc.inotify_init() >= 0: n += 1
                    print('instances', n > 50)"
                    """
                let first = try await bench.output(of: hog + "; sleep 1", namespace: "lab-a")
                if first.contains("ModuleNotFound") { return }
                _ = try await bench.sandboxes.create(
                    bench.plan("node1", namespace: "lab-b", hog + "; sleep 30"), address: nil, egress: .none, record: .emptyObject)
                let second = try await bench.output(of: hog, namespace: "lab-c")
                #expect(second.contains("instances True"))
            }
        }
    }
}

extension String {
    func components(of part: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: part) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
