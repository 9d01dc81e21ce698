// One server per state folder: a second start says so instead of spoiling the first's work.
internal import Essentials
internal import Glibc

enum StateProblem: Problem {
    case inUse(String)
    case notWritable(String, String)

    var reason: String { "StateUnusable" }
    var message: String {
        switch self {
        case .inUse(let folder): "Another Lectern uses the state folder \(folder). Stop it, or give this one another with --state."
        case .notWritable(let folder, let why): "The state folder \(folder) cannot be used: \(why)."
        }
    }
}

struct StateLock {
    private let descriptor: OwnedDescriptor

    init(folder: String) throws(StateProblem) {
        if mkdir(folder, 0o711) != 0, errno != EEXIST { throw .notWritable(folder, String(cString: strerror(errno))) }
        let opened = open(folder + "/lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw .notWritable(folder, String(cString: strerror(errno))) }
        descriptor = OwnedDescriptor(opened)
        // Not flock(2): a child that was being made when the server was killed would hold its lock on.
        var lock = Glibc.flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        guard fcntl(opened, F_SETLK, &lock) == 0 else { throw .inUse(folder) }
    }

    func release() { descriptor.close() }
}
