// Thin wrappers for variadic calls and macros, which Swift cannot reach.
#pragma once

/// open(2) with O_CLOEXEC always set.
static inline int cl_open(const char *path, int flags, mode_t mode) {
    return open(path, flags | O_CLOEXEC, mode);
}

/// Opens a path inside `root` so that no symlink or `..` leads out of it (openat2 with RESOLVE_IN_ROOT).
static inline int cl_open_in_root(int root, const char *path, int flags, mode_t mode) {
    struct { uint64_t flags, mode, resolve; } how = {
        .flags = (uint64_t)(flags | O_CLOEXEC), .mode = (flags & O_CREAT) ? mode : 0,
        .resolve = 0x10 /* RESOLVE_IN_ROOT */ | 0x02 /* RESOLVE_NO_MAGICLINKS */ };
    return (int)syscall(437 /* openat2 */, root, path, &how, sizeof how);
}

static inline int cl_ioctl_int(int descriptor, unsigned long request, long argument) {
    return ioctl(descriptor, request, argument);
}

static inline int cl_ioctl_pointer(int descriptor, unsigned long request, void *argument) {
    return ioctl(descriptor, request, argument);
}

/// Maps a detached mount's ids through a user namespace.
static inline int cl_idmap(int tree, int user_namespace, int read_only) {
    struct mount_attr attributes = {
        .attr_set = MOUNT_ATTR_IDMAP | (read_only ? MOUNT_ATTR_RDONLY : 0), .userns_fd = (uint64_t)user_namespace };
    return mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes);
}

static inline int cl_prctl(int option, unsigned long a) { return prctl(option, a, 0, 0, 0); }
static inline int cl_stat_is_directory(mode_t mode) { return S_ISDIR(mode); }
static inline uint64_t cl_makedev(unsigned major_, unsigned minor_) { return makedev(major_, minor_); }
static inline unsigned cl_major(uint64_t device) { return major(device); }
static inline unsigned cl_minor(uint64_t device) { return minor(device); }
static inline long cl_thread_id(void) { return syscall(SYS_gettid); }

/// Sets only the calling thread's file system context apart, so that it may enter another mount namespace.
static inline int cl_unshare(int flags) { return unshare(flags); }
static inline int cl_setns(int descriptor, int flags) { return setns(descriptor, flags); }

static inline int cl_exited(int status) { return WIFEXITED(status); }
static inline int cl_exit_status(int status) { return WEXITSTATUS(status); }
static inline int cl_term_signal(int status) { return WTERMSIG(status); }

/// Writes what an error number means.
static inline void cl_error_text(int code, char *buffer, size_t size) {
    const char *text = strerror_r(code, buffer, size);
    if (text != buffer) { strncpy(buffer, text, size - 1); buffer[size - 1] = 0; }
}
