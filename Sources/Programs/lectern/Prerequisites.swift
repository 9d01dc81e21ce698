// What the machine must have before a lab can run, checked at once and said in words.
internal import Essentials
internal import Glibc
internal import Settings

enum PrerequisiteProblem: Problem {
    case notRoot
    case kernelTooOld(String)
    case noNodeImage(String)
    case noAgent(String)
    case noProgram(String, package: String)
    case closedFolder(String)

    var reason: String { "PrerequisiteMissing" }
    var message: String {
        switch self {
        case .notRoot: "Lectern needs root, since it makes namespaces and mounts for the labs. Start it with sudo."
        case .kernelTooOld(let version):
            "Lectern needs Linux 5.19 or newer for idmapped mounts under overlays. This machine runs \(version)."
        case .noNodeImage(let path): "The node image is missing (\(path)). “lectern images build” makes it in about a minute."
        case .noProgram(let name, let package): "The program \(name) is not installed. Install the package “\(package)”; “make serve” does."
        case .noAgent(let path): "The program node-agent is missing (\(path)). “make build” builds it."
        case .closedFolder(let path):
            "The users of the labs cannot pass through \(path), where the state folder lies. “chmod o+x \(path)” lets them, or choose "
                + "another folder with --state."
        }
    }
}

enum Prerequisites {
    static func check(_ configuration: Configuration, agent: String) throws(PrerequisiteProblem) {
        guard geteuid() == 0 else { throw .notRoot }
        let release = kernelRelease()
        let numbers = release.split(whereSeparator: { $0 == "." || $0 == "-" }).prefix(2).compactMap { Int($0) }
        guard numbers.count == 2, (numbers[0], numbers[1]) >= (5, 19) else { throw .kernelTooOld(release) }
        let image = configuration.imagesPath + "/lectern/node/rootfs"
        guard access(image, R_OK) == 0 else { throw .noNodeImage(image) }
        guard access(agent, X_OK) == 0 else { throw .noAgent(agent) }
        for (name, package) in [("crun", "crun"), ("mkfs.ext4", "e2fsprogs"), ("nft", "nftables")] {
            let places = ["/usr/local/bin/", "/usr/bin/", "/usr/sbin/", "/sbin/", "/bin/"]
            guard places.contains(where: { access($0 + name, X_OK) == 0 }) else { throw .noProgram(name, package: package) }
        }
        try open(state: configuration.state)
    }

    /// A node's first process runs as a user of its lab, who must be able to pass through the state folder to its files.
    private static func open(state: String) throws(PrerequisiteProblem) {
        var folder = ""
        for part in state.split(separator: "/") {
            folder += "/" + part
            var about = stat()
            guard stat(folder, &about) == 0 else { return }
            guard about.st_mode & S_IXOTH == 0 else { continue }
            // The last one is our own; the others belong to somebody else.
            guard folder == state, chmod(folder, about.st_mode & 0o7777 | 0o011) == 0 else { throw .closedFolder(folder) }
        }
    }

    private static func kernelRelease() -> String {
        guard let file = fopen("/proc/sys/kernel/osrelease", "re") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count].prefix { $0 != 10 }, as: UTF8.self)
    }
}
