// The local image store: STATE/images/NAME/ with rootfs/ and, where it has something to say, config.json (OCI image config).
internal import Essentials
package import Kernel

/// An unpacked image. Its files are shared by all containers and never changed by one.
package struct Image: Sendable, Equatable {
    package var name: String
    package var root: String
    package var environment: [String]
    package var entrypoint: [String]
    package var command: [String]
    package var workingDirectory: String
    package var user: String

    package init(
        name: String, root: String, environment: [String] = [], entrypoint: [String] = [], command: [String] = [],
        workingDirectory: String = "/", user: String = ""
    ) {
        self.name = name
        self.root = root
        self.environment = environment
        self.entrypoint = entrypoint
        self.command = command
        self.workingDirectory = workingDirectory
        self.user = user
    }
}

package struct ImageStore: Sendable {
    private let directory: String
    private let kernel: any Kernel

    package init(paths: StatePaths, kernel: any Kernel) {
        directory = paths.images
        self.kernel = kernel
    }

    package func image(named name: String) throws(ContainersProblem) -> Image {
        let plain = Self.plainName(name)
        guard Self.isValid(plain) else { throw .imageMissing(name) }
        let root = "\(directory)/\(plain)/rootfs"
        guard kernel.exists(root) else { throw .imageMissing(name) }
        var image = Image(name: plain, root: root)
        let file = "\(directory)/\(plain)/config.json"
        guard kernel.exists(file) else { return image }
        let text = try lifting { () throws(KernelProblem) in try kernel.readText(file) }
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: text) } catch { throw .imageBroken(name, "its config.json is not JSON") }
        let settings = json["config"] ?? json
        image.environment = settings["Env"]?.array?.compactMap(\.string) ?? []
        image.entrypoint = settings["Entrypoint"]?.array?.compactMap(\.string) ?? []
        image.command = settings["Cmd"]?.array?.compactMap(\.string) ?? []
        image.workingDirectory = settings["WorkingDir"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? "/"
        image.user = settings["User"]?.string ?? ""
        return image
    }

    /// Names of the images that are here.
    package func names() throws(ContainersProblem) -> [String] {
        try lifting { () throws(KernelProblem) in
            var names: [String] = []
            for first in try kernel.list(directory) {
                if kernel.exists("\(directory)/\(first)/rootfs") { names.append(first) }
                for second in try kernel.list("\(directory)/\(first)") where kernel.exists("\(directory)/\(first)/\(second)/rootfs") {
                    names.append("\(first)/\(second)")
                }
            }
            return names
        }
    }

    /// Without the tag `latest`, which is what a missing tag means.
    static func plainName(_ name: String) -> String { name.hasSuffix(":latest") ? String(name.dropLast(7)) : name }

    /// A name of one to three parts that cannot lead out of the store.
    static func isValid(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count), name.utf8.count <= 255 else { return false }
        return parts.allSatisfy { part in
            part.first.map { $0.isASCII && ($0.isLetter || $0.isNumber) } == true && part != "rootfs"
                && part.utf8.allSatisfy { byte in
                    (97...122).contains(byte) || (65...90).contains(byte) || (48...57).contains(byte) || byte == 45 || byte == 46
                        || byte == 95
                        || byte == 58
                }
        }
    }
}
