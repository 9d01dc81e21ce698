// Memory that large answers have left behind, given back to the system.
internal import CLinux

enum FreeMemory {
    static func giveBack() { malloc_trim(0) }
}
