// A volume whose files the kubelet writes: all change at once, by a link that is swapped.
//
//     volume/..2026_11_25_02_39_09.123456/a    what is shown
//     volume/..data -> ..2026_11_25_02_39_09.123456
//     volume/a -> ..data/a                      what containers open
internal import Essentials
internal import Kernel
internal import Pods

struct WrittenFolder: Sendable {
    let path: String
    let group: UInt32?
    private let kernel = LinuxKernel()

    init(path: String, group: UInt32?) {
        self.path = path
        self.group = group
    }

    private var dataLink: String { path + "/..data" }

    /// Whether there was anything to change.
    @discardableResult
    func write(_ files: [String: VolumeFile], at now: Timestamp) throws(KernelProblem) -> Bool {
        let old = VolumeFiles.readLink(dataLink)
        if let old, holds(files, path + "/" + old) { return false }
        let stamp = now.rfc3339Micro.map { "-T:".contains($0) ? "_" : $0 }.filter { $0 != "Z" }
        let fresh = ".." + String(stamp) + Identifier.short(length: 4)
        let folder = path + "/" + fresh
        try kernel.makeDirectory(folder, mode: 0o755)
        for (name, file) in files.sorted(by: { $0.key < $1.key }) {
            try makeParents(of: name, in: folder)
            try kernel.write(folder + "/" + name, file.bytes, mode: file.mode, owner: nil)
        }
        if let group { try VolumeFiles.setGroup(tree: folder, group, readOnly: true) }
        try? kernel.remove(path + "/..data_tmp")
        try VolumeFiles.makeLink(fresh, at: path + "/..data_tmp")
        try kernel.rename(path + "/..data_tmp", to: dataLink)
        let tops = Set(files.keys.map { String($0.split(separator: "/")[0]) })
        for top in tops where !kernel.exists(path + "/" + top) { try VolumeFiles.makeLink("..data/" + top, at: path + "/" + top) }
        for name in try kernel.list(path) where !name.hasPrefix("..") && !tops.contains(name) { try kernel.remove(path + "/" + name) }
        for name in try kernel.list(path) where name.hasPrefix("..") && name != "..data" && name != fresh {
            try kernel.removeTree(path + "/" + name)
        }
        return true
    }

    var isWritten: Bool { VolumeFiles.readLink(dataLink) != nil }

    private func makeParents(of name: String, in folder: String) throws(KernelProblem) {
        var current = folder
        for part in name.split(separator: "/").dropLast() {
            current += "/" + part
            if !kernel.exists(current) { try kernel.makeDirectory(current, mode: 0o755) }
        }
    }

    private func holds(_ files: [String: VolumeFile], _ folder: String) -> Bool {
        guard count(folder) == files.count else { return false }
        return files.allSatisfy { name, file in
            (try? kernel.read(folder + "/" + name, limitBytes: file.bytes.count + 1)) == file.bytes
        }
    }

    private func count(_ folder: String) -> Int {
        ((try? kernel.list(folder)) ?? []).reduce(0) { sum, name in
            sum + (kernel.isDirectory(folder + "/" + name) ? count(folder + "/" + name) : 1)
        }
    }
}
