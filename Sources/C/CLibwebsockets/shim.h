// libwebsockets, and the event calls of Linux that its loop is extended with.
#pragma once
#include <libwebsockets.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

// These need _GNU_SOURCE, which would change types that Swift's Glibc has defined without it.
int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
int pthread_setname_np(pthread_t thread, const char *name);
int pipe2(int ends[2], int flags);
ssize_t splice(int from, long *from_offset, int to, long *to_offset, size_t length, unsigned int flags);

// F_SETPIPE_SZ
static inline int set_pipe_size(int descriptor, int bytes) { return fcntl(descriptor, 1031, bytes); }

// SPLICE_F_MOVE | SPLICE_F_NONBLOCK
static inline ssize_t splice_bytes(int from, int to, size_t length) { return splice(from, 0, to, 0, length, 1 | 2); }
