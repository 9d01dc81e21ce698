// What is wrong when the program cannot find what comes with it.
internal import Essentials

enum ProgramFolderProblem: Problem {
    case notThere(String)
    case notFound(String)

    var reason: String {
        switch self {
        case .notThere: "HomeNotThere"
        case .notFound: "HomeNotFound"
        }
    }

    var message: String {
        switch self {
        case .notThere(let path): "LECTERN_HOME is \(path), which has no Workshops/images/build; it names the folder of Lectern's sources"
        case .notFound(let programs):
            "neither a folder above \(programs) nor the working directory has Workshops/images/build; set LECTERN_HOME to the folder "
                + "of Lectern's sources"
        }
    }
}
