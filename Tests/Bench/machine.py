"""What a server and its labs take from this machine, and ways into a node that do not pass the server."""

import ctypes
import os
import pathlib
import pty
import socket
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)


def rollup(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def pss(pid):
    return rollup(pid, "Pss")


def descendants_in_labs(server):
    """The processes of this server's labs: those in a pid namespace that is not ours and not the server's."""
    ours = os.readlink("/proc/self/ns/pid")
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns/pid") != ours and b"lectern" in (folder / "cgroup").read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def total_pss(pids):
    total = 0
    for pid in pids:
        try:
            total += pss(pid)
        except OSError:
            pass
    return total


def kernel_memory():
    """Kernel memory that grows with namespaces, mounts and processes."""
    fields = {}
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        fields[name] = int(rest.split()[0]) * 1024
    return sum(fields.get(name, 0) for name in ("SUnreclaim", "KernelStack", "PageTables", "SecPageTables", "Percpu", "VmallocUsed"))


def network_of(inode_name):
    """A path of the network namespace `net:[N]`, found by one of its processes."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns/net") == inode_name:
                return str(folder / "ns/net")
        except OSError:
            pass
    raise RuntimeError(f"no process is in {inode_name}")


def connect_inside(namespace, host, port):
    """A connection made inside a network namespace by a thread that enters it: no server between."""
    result = []

    def enter():
        descriptor = os.open(namespace, os.O_RDONLY)
        try:
            if LIBC.setns(descriptor, 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            result.append(socket.create_connection((host, port), timeout=30))
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if not result:
        raise RuntimeError("the node cannot be entered")
    return result[0]


def plain_read_loop(command):
    """Bytes per second of a loop that only reads a terminal on which `command` runs."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", command])
    count = 0
    begun = time.perf_counter()
    try:
        while data := os.read(descriptor, 65536):
            count += len(data)
    except OSError:
        pass  # EIO: the last process has closed the terminal
    seconds = time.perf_counter() - begun
    os.close(descriptor)
    os.waitpid(pid, 0)
    return count / seconds
