// Error numbers by name, so that nobody above Platform needs the C library for them.
internal import CLinux
internal import Glibc

package enum Errno {
    package static let noEntry = ENOENT
    package static let exists = EEXIST
    package static let noSpace = ENOSPC
    package static let busy = EBUSY
    package static let notPermitted = EPERM
    package static let access = EACCES
    package static let noProcess = ESRCH
    package static let noChild = ECHILD
    package static let noDevice = ENODEV
    package static let invalid = EINVAL
    package static let notEmpty = ENOTEMPTY
    package static let inputOutput = EIO
    package static let refused = ECONNREFUSED
    package static let noMemory = ENOMEM
    package static let timedOut = ETIMEDOUT
    package static let notDirectory = ENOTDIR
    package static let noExecution = ENOEXEC
    package static let wouldBlock = EAGAIN

    /// What the C library says about it.
    package static func text(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        cl_error_text(code, &buffer, buffer.count)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
