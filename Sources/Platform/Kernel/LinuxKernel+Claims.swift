// The real kernel, part seven: files that only one process may make or hold.
internal import CLinux
package import Essentials
internal import Glibc

extension LinuxKernel {
    /// Waits for the lock on the file, which is made where it is not there. It is held as long as the descriptor is open.
    package func lock(_ path: String) throws(KernelProblem) -> OwnedDescriptor {
        let file = try Self.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        while flock(file.number, LOCK_EX) < 0 {
            guard errno == EINTR else { throw Self.failed("flock", path) }
        }
        return file
    }

    /// Makes the file with its whole content, or not at all; false when there is one already.
    package func claim(_ path: String, _ bytes: [UInt8]) throws(KernelProblem) -> Bool {
        let draft = "\(path).\(getpid()).new"
        try write(draft, bytes, mode: 0o600, owner: nil)
        defer { _ = unlink(draft) }
        if Glibc.link(draft, path) == 0 { return true }
        guard errno == EEXIST else { throw Self.failed("link", path) }
        return false
    }

    /// Replaces the file in one step: readers see the old content or the new one.
    package func replace(_ path: String, text: String, mode: UInt32 = 0o644) throws(KernelProblem) {
        let draft = "\(path).\(getpid()).new"
        try write(draft, Array(text.utf8), mode: mode, owner: nil)
        try rename(draft, to: path)
    }

    /// Makes a symbolic link in the place of whatever file is there.
    package func replaceLink(_ path: String, to target: String) throws(KernelProblem) {
        let draft = "\(path).\(getpid()).new"
        _ = unlink(draft)
        guard symlink(target, draft) == 0 else { throw Self.failed("symlink", path) }
        try rename(draft, to: path)
    }

    /// The machine's name as its UTS namespace has it.
    package static var hostname: String {
        var buffer = [UInt8](repeating: 0, count: 256)
        _ = buffer.withUnsafeMutableBytes { gethostname($0.baseAddress!.assumingMemoryBound(to: CChar.self), 255) }
        return String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }
}
