// Starting processes: a vfork-like spawn with cgroup placement, and short-lived children that make namespaces.
//
// Both run between fork and exec, where only system calls are allowed; that is why they are C and not Swift.
// cl_spawn shares the caller's memory (CLONE_VM | CLONE_VFORK): the calling thread stands still until the child has
// executed or failed, other threads run on. Raw system calls are used for ids, because glibc's wrappers would signal
// the other threads of the process.
#pragma once

struct cl_spawn {
    const char *path;
    char *const *arguments;
    char *const *environment;
    const char *directory;      // NULL: unchanged
    const int *descriptors;     // the child's descriptor i is descriptors[i]; -1 leaves it closed
    int descriptor_count;       // at most 32
    const int *cgroups;         // open cgroup.procs files to enter first
    int cgroup_count;
    int new_session;
    int join_user;              // user namespace to enter last, or -1
    int join_network;           // network namespace to enter, or -1
    int new_processes;          // 1: the child is the first process of a process id namespace
    int ignores_children;       // 1: children that end are collected by nobody
    int error;                  // out: errno of the step that failed
    sigset_t mask;              // in: filled by cl_spawn_process
};

static inline int cl_spawn_child(void *argument) {
    struct cl_spawn *spawn = argument;
    int moved[32];
    struct sigaction action;
    __builtin_memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP && number != 32 && number != 33) sigaction(number, &action, NULL);
    if (spawn->ignores_children) {
        action.sa_handler = SIG_IGN;
        sigaction(SIGCHLD, &action, NULL);
    }
    if (spawn->new_session) setsid();
    for (int i = 0; i < spawn->cgroup_count; i++)
        if (write(spawn->cgroups[i], "0", 1) != 1) goto failed;
    for (int i = 0; i < spawn->descriptor_count; i++) {
        moved[i] = -1;
        if (spawn->descriptors[i] < 0) continue;
        moved[i] = fcntl(spawn->descriptors[i], F_DUPFD_CLOEXEC, spawn->descriptor_count + 8);
        if (moved[i] < 0) goto failed;
    }
    for (int i = 0; i < spawn->descriptor_count; i++) {
        if (moved[i] < 0) close(i);
        else if (dup2(moved[i], i) < 0) goto failed;
    }
    if (spawn->join_network >= 0 && setns(spawn->join_network, CLONE_NEWNET) < 0) goto failed;
    if (spawn->join_user >= 0 && setns(spawn->join_user, CLONE_NEWUSER) < 0) goto failed;
    syscall(SYS_close_range, (unsigned)spawn->descriptor_count, ~0u, 0);
    if (spawn->directory && chdir(spawn->directory) < 0) goto failed;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(spawn->path, spawn->arguments, spawn->environment);
failed:
    spawn->error = errno;
    _exit(127);
}

/// Returns the process id, or -1 with `error` set.
static inline pid_t cl_spawn_process(struct cl_spawn *spawn) {
    char stack[32768] __attribute__((aligned(16)));
    sigset_t all;
    sigfillset(&all);
    spawn->error = 0;
    pthread_sigmask(SIG_SETMASK, &all, &spawn->mask);
    int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | (spawn->new_processes ? CLONE_NEWPID : 0);
    pid_t child = clone(cl_spawn_child, stack + sizeof stack, flags, spawn);
    int failure = errno;
    pthread_sigmask(SIG_SETMASK, &spawn->mask, NULL);
    if (child < 0) {
        spawn->error = failure;
        return -1;
    }
    if (spawn->error) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
        return -1;
    }
    return child;
}

/// Forks a child that (joins a user namespace, becomes `uid`,) unshares `flags`, writes its errno as one int to `ready`
/// and sleeps until it is killed. The parent opens its /proc/PID/ns files meanwhile.
static inline pid_t cl_namespace_child(int join_user, uid_t uid, int flags, int ready) {
    pid_t parent = getpid();
    pid_t child = _Fork();
    if (child != 0) return child;
    int failure = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (join_user >= 0 && setns(join_user, CLONE_NEWUSER) < 0) failure = errno;
    if (!failure && uid != 0) {
        if (syscall(SYS_setgroups, 0, NULL) < 0) failure = errno;
        if (!failure && syscall(SYS_setresgid, uid, uid, uid) < 0) failure = errno;
        // Some systems let only those with CAP_SYS_ADMIN make user namespaces that are worth something (AppArmor's
        // restriction, unprivileged_userns_clone), so that one capability is kept across the change of ids.
        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
        if (!failure && syscall(SYS_setresuid, uid, uid, uid) < 0) failure = errno;
        struct { uint32_t version; int pid; } header = { 0x20080522, 0 };
        struct { uint32_t effective, permitted, inheritable; } sets[2] = { { 1u << 21, 1u << 21, 0 }, { 0, 0, 0 } };
        syscall(SYS_capset, &header, sets);
    }
    if (!failure && unshare(flags) < 0) failure = errno;
    // A change of user ids forgets the signal; and a parent that died before this line sends none.
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) _exit(1);
    if (dup2(ready, 0) < 0) _exit(1);
    syscall(SYS_close_range, 1u, ~0u, 0);
    if (write(0, &failure, sizeof failure) != sizeof failure) _exit(1);
    for (;;) pause();
}
