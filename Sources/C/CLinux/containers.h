// What a node's container runtime needs of the kernel: a process started inside a running container, and descriptors that
// travel through unix sockets.
#pragma once

struct cl_inside {
    int process;                    // pidfd of the container's first process
    int namespaces;                 // CLONE_NEW… of what is joined
    char *const *paths;             // where the program may be, in order
    char *const *arguments;
    char *const *environment;
    const char *directory;
    int descriptors[3];             // standard streams
    int terminal;                   // 1: they are a terminal, which becomes the controlling one
    const int *cgroups;             // open cgroup.procs files to enter first
    int cgroup_count;
    uid_t user;
    gid_t group;
    const gid_t *groups;
    int group_count;
    uint64_t bounding;              // capabilities it can ever have
    uint64_t permitted;
    int no_new_privileges;
    int report;                     // end of a pipe, close-on-exec
};

/// What comes through `report`: the process id first, and a failure where there was one.
struct cl_inside_report { int step, value; };

static inline void cl_inside_tell(int report, int step, int value) {
    struct cl_inside_report line = { step, value };
    if (write(report, &line, sizeof line) != sizeof line) _exit(125);
}

static inline void cl_inside_run(const struct cl_inside *inside) {
    struct sigaction action;
    __builtin_memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP && number != 32 && number != 33) sigaction(number, &action, NULL);
    setsid();
    // The given numbers are above 2.
    for (int i = 0; i < 3; i++)
        if (dup2(inside->descriptors[i], i) < 0) goto failed;
    if (inside->terminal) ioctl(0, TIOCSCTTY, 0);
    syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
    for (int capability = 0; capability < 64; capability++)
        if (!(inside->bounding >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno == EINVAL) break;
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (syscall(SYS_setgroups, (long)inside->group_count, inside->groups) < 0) goto failed;
    if (syscall(SYS_setresgid, inside->group, inside->group, inside->group) < 0) goto failed;
    if (syscall(SYS_setresuid, inside->user, inside->user, inside->user) < 0) goto failed;
    {
        struct { uint32_t version; int pid; } header = { 0x20080522, 0 };
        uint32_t low = (uint32_t)inside->permitted, high = (uint32_t)(inside->permitted >> 32);
        struct { uint32_t effective, permitted, inheritable; } sets[2] = { { low, low, 0 }, { high, high, 0 } };
        if (syscall(SYS_capset, &header, sets) < 0) goto failed;
    }
    if (inside->no_new_privileges) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    umask(022);
    if (chdir(inside->directory) < 0) {
        cl_inside_tell(inside->report, 2, errno);
        _exit(126);
    }
    {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        int reason = ENOENT;
        for (char *const *path = inside->paths; *path; path++) {
            execve(*path, inside->arguments, inside->environment);
            if (errno != ENOENT && errno != ENOTDIR) reason = errno;
        }
        cl_inside_tell(inside->report, 3, reason);
        _exit(reason == ENOENT ? 127 : 126);
    }
failed:
    cl_inside_tell(inside->report, 1, errno);
    _exit(126);
}

/// Starts a process inside a container as a child of the caller: a helper enters the namespaces, clones with CLONE_PARENT
/// and ends. It is a copy, not a sharer, of the caller's memory, and not dumpable: the container's processes can see it
/// before it has become the program. Returns the helper, to be waited for; -1 with errno.
static inline pid_t cl_start_inside(const struct cl_inside *inside) {
    sigset_t all, mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    pid_t helper = _Fork();
    int failure = errno;
    if (helper == 0) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        for (int i = 0; i < inside->cgroup_count; i++)
            if (write(inside->cgroups[i], "0", 1) != 1) goto failed;
        if (setns(inside->process, inside->namespaces) < 0) goto failed;
        pid_t child = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        if (child < 0) goto failed;
        if (child == 0) cl_inside_run(inside);
        cl_inside_tell(inside->report, 0, child);
        _exit(0);
    failed:
        cl_inside_tell(inside->report, 1, errno);
        _exit(1);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    errno = failure;
    return helper;
}

/// Sends a descriptor with one byte. -1 with errno.
static inline int cl_send_descriptor(int socket, int descriptor) {
    char byte = 0;
    struct iovec part = { &byte, 1 };
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control;
    __builtin_memset(&control, 0, sizeof control);
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space };
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
    return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/// Receives a descriptor; with `keeps`, a copy of it stays in the socket for the next reader. -1 with errno.
static inline int cl_receive_descriptor(int socket, int keeps) {
    char bytes[4096];
    struct iovec part = { bytes, sizeof bytes };
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control;
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space };
    ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (keeps ? MSG_PEEK | MSG_DONTWAIT : 0));
    if (got < 0) return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS) {
        errno = ENOMSG;
        return -1;
    }
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
}

static inline int cl_pidfd_getfd(int process, int descriptor) { return (int)syscall(438 /* pidfd_getfd */, process, descriptor, 0); }
static inline int cl_pidfd_signal(int process, int signal) { return (int)syscall(424 /* pidfd_send_signal */, process, signal, 0, 0); }

/// How a child ended, without collecting it: 1 with the status as wait(2) has it, 0 while it runs, -1 when it is no child.
static inline int cl_peek_exit(pid_t process, int *status) {
    siginfo_t info;
    info.si_pid = 0;
    if (waitid(P_PID, (id_t)process, &info, WEXITED | WNOWAIT | WNOHANG) < 0) return -1;
    if (info.si_pid == 0) return 0;
    *status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status & 0x7f;
    return 1;
}

/// A PTY of the container's own, so that its name is right inside: `root` is the container's root directory.
static inline int cl_open_terminal_in_root(int root, int *slave) {
    int master = cl_open_in_root(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
    if (master < 0) return -1;
    int unlock = 0;
    if (ioctl(master, TIOCSPTLCK, &unlock) == 0) {
        *slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (*slave >= 0) return master;
    }
    int reason = errno;
    close(master);
    errno = reason;
    return -1;
}
