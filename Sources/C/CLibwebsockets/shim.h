// libwebsockets, and the event calls of Linux that its loop is extended with.
#pragma once
#include <libwebsockets.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

// Both need _GNU_SOURCE, which would change types that Swift's Glibc has defined without it.
int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
int pthread_setname_np(pthread_t thread, const char *name);
