// Inline shims of the terminals: starting a process on a PTY or on pipes, and scanning bytes at memory speed.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>




/// Forks and runs `path` in a session of its own. `terminal` >= 0 becomes its controlling terminal and its standard
/// streams; otherwise `input`, `output` and `error` do. Returns the pid, or -1 with errno. Only for programs with one thread.
static inline pid_t lectern_terminal_spawn(
    const char *path, char *const arguments[], char *const environment[], const char *directory, int terminal, int input, int output,
    int error) {
  pid_t child = fork();
  if (child != 0) return child;
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < 65; number++) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  if (terminal >= 0) {
    ioctl(terminal, TIOCSCTTY, 0);
    input = output = error = terminal;
  }
  // The given numbers are above 2: the program keeps its own standard streams open.
  if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(error, 2) < 0) _exit(126);
  syscall(SYS_close_range, 3U, ~0U, 0U);
  if (directory == NULL || chdir(directory) != 0) {
    if (chdir("/") != 0) _exit(126);
  }
  execvpe(path, arguments, environment);
  int reason = errno;
  dprintf(2, "%s: %s\n", path, strerror(reason));
  _exit(reason == ENOENT ? 127 : 126);
}

/// A new PTY: the master's descriptor, nonblocking and close-on-exec; the slave goes to `*slave`. -1 with errno on failure.
static inline int lectern_terminal_open(int *slave, unsigned short columns, unsigned short rows) {
  int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (master < 0) return -1;
  int unlock = 0;
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  struct termios modes;
  if (ioctl(master, TIOCSPTLCK, &unlock) != 0) goto failed;
  *slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (*slave < 0) goto failed;
  ioctl(*slave, TIOCSWINSZ, &size);
  // UTF-8 line editing in the kernel: erasing takes away a whole character.
  if (tcgetattr(*slave, &modes) == 0) {
    modes.c_iflag |= IUTF8;
    tcsetattr(*slave, TCSANOW, &modes);
  }
  return master;
failed: {
  int reason = errno;
  close(master);
  errno = reason;
  return -1;
}
}

static inline int lectern_terminal_resize(int master, unsigned short columns, unsigned short rows) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  return ioctl(master, TIOCSWINSZ, &size);
}

/// The process group that holds the terminal, or -1.
static inline pid_t lectern_terminal_foreground(int master) {
  pid_t group = -1;
  return ioctl(master, TIOCGPGRP, &group) == 0 ? group : -1;
}

/// Listens on, or connects to, the unix stream socket at `path`. -1 with errno on failure.
static inline int lectern_terminal_unix(const char *path, int listening) {
  struct sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (listening ? SOCK_NONBLOCK : 0), 0);
  if (made < 0) return -1;
  int failed = listening ? bind(made, (struct sockaddr *)&address, sizeof address) || listen(made, 64)
                         : connect(made, (struct sockaddr *)&address, sizeof address);
  if (!failed) return made;
  int reason = errno;
  close(made);
  errno = reason;
  return -1;
}

/// The next connection, nonblocking; -1 when there is none.
static inline int lectern_terminal_accept(int listener) {
  int made = accept(listener, NULL, NULL);
  if (made < 0) return -1;
  fcntl(made, F_SETFD, FD_CLOEXEC);
  fcntl(made, F_SETFL, O_RDWR | O_NONBLOCK);
  return made;
}

/// A pipe whose ends are close-on-exec; the reading end does not block.
static inline int lectern_terminal_pipe(int ends[2]) {
  if (pipe(ends) != 0) return -1;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  fcntl(ends[0], F_SETFL, O_RDONLY | O_NONBLOCK);
  return 0;
}

/// Orphans below this process become its children.
static inline void lectern_terminal_adopt_orphans(void) { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

/// Whether all bytes are plain text: printable or beyond ASCII, tab, line feed and carriage return.
static inline int lectern_terminal_plain(const uint8_t *bytes, size_t count) {
  unsigned special = 0;
  for (size_t index = 0; index < count; index++) {
    uint8_t byte = bytes[index];
    special |= (unsigned)((byte < 0x20) & (byte != 0x0A) & (byte != 0x0D) & (byte != 0x09)) | (unsigned)(byte == 0x7F);
  }
  return !special;
}
