// Images that this node can run: the host's catalogue, and those that podman built here.
//
// The catalogue is a directory per tag, IMAGES/REGISTRY/REPOSITORY…/TAG with rootfs/ and config.json. An image counts as
// "on this node" once it was pulled, so that pull policies and their events mean what they say; pulling only notes that.
internal import Essentials
package import Kernel
package import Pods
internal import Synchronization

/// An image's files: the layers of its root file system, uppermost first.
struct ImageFiles: Sendable, Hashable {
    var layers: [String]
    /// Its programs are the host's own.
    var hasPrograms: Bool
}

package final class ImageCatalogue: Sendable {
    private let settings: PodRuntimeSettings
    private let kernel: LinuxKernel
    private let podman: PodmanStore
    private let pulled: Mutex<Set<String>?> = Mutex(nil)
    private static let configurationLimitBytes = 1 << 20
    private static let depthLimit = 8

    package init(settings: PodRuntimeSettings, kernel: LinuxKernel) {
        self.settings = settings
        self.kernel = kernel
        podman = PodmanStore(directory: settings.podman, kernel: kernel)
    }

    /// The image where it is on this node already.
    package func present(_ text: String) -> PulledImage? {
        guard let reference = try? ImageReference(text) else { return nil }
        if let built = podman.image(text, reference) { return built.image }
        guard notes().contains(reference.description) else { return nil }
        return inCatalogue(reference, as: text)?.image
    }

    package func pull(_ text: String) throws(PodRuntimeProblem) -> PulledImage {
        let reference: ImageReference
        do throws(ImageReference.Invalid) { reference = try ImageReference(text) } catch {
            throw PodRuntimeProblem(reason: "InvalidImageName", message: ImageReference.complaint(text, error))
        }
        if let built = podman.image(text, reference), reference.registry == "localhost" { return built.image }
        guard let found = inCatalogue(reference, as: text) else {
            if let built = podman.image(text, reference) { return built.image }
            throw PodRuntimeProblem(reason: "ErrImagePull", message: Self.notFound(reference))
        }
        note(reference.description)
        return found.image
    }

    static func notFound(_ reference: ImageReference) -> String {
        let name = reference.description
        return "rpc error: code = NotFound desc = failed to pull and unpack image \"\(name)\": failed to resolve reference \"\(name)\": "
            + "\(name): not found"
    }

    /// Where the files of an image lie that `present` or `pull` answered with.
    func files(_ image: PulledImage) -> ImageFiles? {
        guard let reference = try? ImageReference(image.reference) else { return nil }
        if let found = inCatalogue(reference, as: image.reference), found.image.id == image.id { return found.files }
        if let built = podman.image(image.reference, reference) { return built.files }
        return inCatalogue(reference, as: image.reference)?.files
    }

    /// All images on this node, with every name they have.
    package func list() -> [(names: [String], sizeBytes: Int64)] {
        var sizes: [String: (names: [String], sizeBytes: Int64)] = [:]
        for name in notes().sorted() {
            guard let reference = try? ImageReference(name), let found = inCatalogue(reference, as: name) else { continue }
            let digest = found.image.id
            sizes[digest, default: ([digest], found.image.sizeBytes)].names.append(name)
        }
        return sizes.values.sorted { $0.names[0] < $1.names[0] } + podman.list()
    }

    private func inCatalogue(_ reference: ImageReference, as text: String) -> (image: PulledImage, files: ImageFiles)? {
        let repository = "\(settings.images)/\(reference.registry)/\(reference.repository)"
        if let tag = reference.tag, let found = entry("\(repository)/\(tag)", reference, text) {
            return reference.digest == nil || found.image.id.hasSuffix(reference.digest ?? "") ? found : nil
        }
        guard let digest = reference.digest, reference.tag == nil else { return nil }
        for tag in (try? kernel.list(repository)) ?? [] {
            if let found = entry("\(repository)/\(tag)", reference, text), found.image.id.hasSuffix(digest) { return found }
        }
        return nil
    }

    private func entry(_ directory: String, _ reference: ImageReference, _ text: String) -> (image: PulledImage, files: ImageFiles)? {
        let root = directory + "/rootfs"
        guard kernel.isDirectory(root) else { return nil }
        let json = (try? kernel.readText(directory + "/config.json", limitBytes: Self.configurationLimitBytes)).flatMap {
            try? JSON(parsing: $0)
        }
        let own = json?["lectern"]
        let image = PulledImage(
            reference: text, id: "\(reference.name)@\(own?["digest"]?.string ?? Self.placeholder(directory))",
            sizeBytes: own?["sizeBytes"]?.integer ?? 0, configuration: json?["config"] ?? .emptyObject)
        return (image, ImageFiles(layers: [root], hasPrograms: own?["programs"]?.bool ?? false))
    }

    // A recipe without a digest still needs an id that looks like one.
    private static func placeholder(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let part = String(hash, radix: 16)
        return "sha256:" + String(repeating: String(repeating: "0", count: 16 - part.count) + part, count: 4)
    }

    // MARK: What was pulled

    private var notesFile: String { settings.storage + "/pulled" }

    private func notes() -> Set<String> {
        pulled.withLock { pulled in
            if let pulled { return pulled }
            let read = Set(((try? kernel.readText(notesFile)) ?? "").split(separator: "\n").map(String.init))
            pulled = read
            return read
        }
    }

    private func note(_ name: String) {
        guard !notes().contains(name) else { return }
        pulled.withLock { pulled in
            guard pulled?.insert(name).inserted == true else { return }
            // What is lost here is noted again by the next pull.
            if let file = try? kernel.openForAppending(notesFile) { try? kernel.send(Array((name + "\n").utf8), to: file) }
        }
    }
}
