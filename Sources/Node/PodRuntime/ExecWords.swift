// What runtimes say about a program that cannot be started; people and scripts look for these words.
internal import Essentials
internal import Kernel

enum ExecWords {
    enum Failure { case missing, denied, format, directory }

    static func problem(_ program: String, _ failure: Failure) -> String {
        switch failure {
        case .missing:
            program.contains("/")
                ? "exec: \"\(program)\": stat \(program): no such file or directory"
                : "exec: \"\(program)\": executable file not found in $PATH"
        case .denied: "exec: \"\(program)\": permission denied"
        case .format: "exec \(program): exec format error"
        case .directory: "exec: \"\(program)\": is a directory"
        }
    }

    /// For a process that was to start in a running container.
    static func exec(_ problem: KernelProblem, program: String, id: String) -> String {
        let why =
            switch (problem.call, problem.code) {
            case ("exec", Errno.noEntry), ("exec", Errno.notDirectory): Self.problem(program, .missing)
            case ("exec", Errno.noExecution): Self.problem(program, .format)
            case ("exec", _): Self.problem(program, .denied)
            case ("chdir", _):
                "chdir to cwd (\"\(problem.subject)\") set in config.json failed: \(Errno.text(problem.code).lowercasedFirst)"
            default: "\(problem.call): \(Errno.text(problem.code).lowercasedFirst)"
            }
        return "failed to exec in container: failed to start exec \"\(id)\": OCI runtime exec failed: exec failed: "
            + "unable to start container process: \(why): unknown"
    }
}
