// Finds what comes with the program: workshops, the page's files, the recipes of images, node-agent.
internal import Foundation

/// The folder that has `Workshops/` and `Public/`, and the folder of the programs.
struct ProgramFolder: Sendable {
    /// `LECTERN_HOME`, or the nearest folder above the program, or the working directory, that has `Workshops/images/build`.
    let home: String
    /// Where this program lies, with node-agent beside it.
    let programs: String

    init() throws(ProgramFolderProblem) {
        let files = FileManager.default
        let program = (try? files.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        programs = URL(fileURLWithPath: program).deletingLastPathComponent().path
        func isHome(_ path: String) -> Bool { files.isExecutableFile(atPath: path + "/Workshops/images/build") }

        if let named = ProcessInfo.processInfo.environment["LECTERN_HOME"] {
            guard isHome(named) else { throw .notThere(named) }
            home = named
            return
        }
        var folder = URL(fileURLWithPath: programs)
        while folder.path != "/" {
            if isHome(folder.path) {
                home = folder.path
                return
            }
            folder.deleteLastPathComponent()
        }
        guard isHome(files.currentDirectoryPath) else { throw .notFound(programs) }
        home = files.currentDirectoryPath
    }

    var workshops: String { home + "/Workshops" }
    var publicFiles: String { home + "/Public" }
    var imageBuilder: String { home + "/Workshops/images/build" }
    var nodeAgent: String { programs + "/node-agent" }
    /// Nil in a build that has none: nodes are plain machines then.
    var labkube: String? { FileManager.default.isExecutableFile(atPath: programs + "/labkube") ? programs + "/labkube" : nil }
}
