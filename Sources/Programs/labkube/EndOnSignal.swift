// A program that is a container's first process must ask for the end it is to make on SIGTERM: the kernel makes none.
internal import Glibc

enum EndOnSignal {
    /// SIGTERM and SIGINT end the process at once. For programs that have nothing to put in order.
    static func arm() {
        for number in [SIGTERM, SIGINT] { signal(number) { _ in _exit(0) } }
    }
}
