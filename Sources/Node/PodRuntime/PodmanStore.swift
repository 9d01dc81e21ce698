// Images that were built with podman in this node, read where podman keeps them (containers/storage, driver overlay):
// overlay-images/images.json names images and their uppermost layers, overlay-layers/layers.json the layers' parents, and
// overlay/ID/diff holds each layer's files.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods

struct PodmanStore: Sendable {
    let directory: String
    let kernel: LinuxKernel
    private static let listLimitBytes = 16 << 20
    private static let layersLimit = 60

    /// An image by a name of the store: as written, of this machine (`localhost/`), or of a registry.
    func image(_ text: String, _ reference: ImageReference) -> (image: PulledImage, files: ImageFiles)? {
        let tag = reference.tag.map { ":" + $0 } ?? ""
        var names = [reference.description]
        let isShort = reference.registry == "docker.io" && !text.hasPrefix("docker.io/")
        if isShort {
            names.insert(
                "localhost/"
                    + (reference.repository.hasPrefix("library/") ? String(reference.repository.dropFirst(8)) : reference.repository) + tag,
                at: 0)
        }
        guard let images = json("overlay-images/images.json")?.array else { return nil }
        for name in names {
            guard let entry = images.first(where: { $0["names"]?.array?.contains(.string(name)) == true }) else { continue }
            return found(entry, name: name, text)
        }
        return nil
    }

    func list() -> [(names: [String], sizeBytes: Int64)] {
        (json("overlay-images/images.json")?.array ?? []).compactMap { entry in
            guard let names = entry["names"]?.array?.compactMap(\.string), !names.isEmpty else { return nil }
            return (names, 0)
        }
    }

    private func found(_ entry: JSON, name: String, _ text: String) -> (image: PulledImage, files: ImageFiles)? {
        guard let id = entry["id"]?.string, id.utf8.allSatisfy(Self.isHex), let top = entry["layer"]?.string,
            let layers = json("overlay-layers/layers.json")?.array
        else { return nil }
        var parents: [String: String] = [:]
        var known: Set<String> = []
        for layer in layers {
            guard let id = layer["id"]?.string else { continue }
            known.insert(id)
            parents[id] = layer["parent"]?.string
        }
        var chain: [String] = []
        var next: String? = top
        while let layer = next, known.contains(layer), layer.utf8.allSatisfy(Self.isHex), chain.count < Self.layersLimit {
            chain.append(shortPath(layer))
            next = parents[layer]
        }
        guard !chain.isEmpty, next == nil else { return nil }
        // The configuration is kept under the base64 of its digest's name.
        let key = "=" + Self.base64(Array("sha256:\(id)".utf8))
        let configuration = json("overlay-images/\(id)/\(key)")
        let repository = name.lastIndex(of: ":").map { name[$0...].contains("/") ? name : String(name[..<$0]) } ?? name
        let digest = entry["digest"]?.string ?? "sha256:\(id)"
        let image = PulledImage(
            reference: text, id: "\(repository)@\(digest)", sizeBytes: 0, configuration: configuration?["config"] ?? .emptyObject)
        return (image, ImageFiles(layers: chain, hasPrograms: false))
    }

    // The store keeps a short link to each layer, since a mount's options fit one page.
    private func shortPath(_ layer: String) -> String {
        if let link = try? kernel.readText("\(directory)/overlay/\(layer)/link", limitBytes: 64), !link.isEmpty,
            link.utf8.allSatisfy({ (65...90).contains($0) || (48...57).contains($0) })
        {
            return "\(directory)/overlay/l/\(link)"
        }
        return "\(directory)/overlay/\(layer)/diff"
    }

    private func json(_ path: String) -> JSON? {
        (try? kernel.readText("\(directory)/\(path)", limitBytes: Self.listLimitBytes)).flatMap { try? JSON(parsing: $0) }
    }

    private static func isHex(_ byte: UInt8) -> Bool { (97...102).contains(byte) || (48...57).contains(byte) }

    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = Array(bytes[start..<min(start + 3, bytes.count)])
            let value = group.reduce(0) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
            for index in 0..<4 {
                output.append(index <= group.count ? alphabet[Int(value >> (18 - 6 * UInt32(index)) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
