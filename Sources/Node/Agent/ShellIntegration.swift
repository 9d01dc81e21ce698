// The shell of a terminal, and the start-up file that makes it tell where prompts and commands begin and end (OSC 133).
internal import Kernel

enum ShellIntegration {
    /// Leaves the alternate screen and the modes that a program may have left behind, before a fresh shell.
    static let freshScreen = "\u{1B}[?1049l\u{1B}[!p\u{1B}[?1000;1002;1003;1004;1006l\u{1B}[?2004l\u{1B}[0m\r\n"

    static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// What every process of a node gets, besides what the node's container was given.
    static var environment: [String: String] {
        var result = ["PATH": path, "HOME": "/root", "USER": "root", "LOGNAME": "root", "LANG": "C.UTF-8"]
        for (name, value) in ReaperProcesses.environment where name != "container" { result[name] = value }
        return result
    }

    static func command(runDirectory: String) -> ReaperCommand {
        var environment = self.environment
        environment["TERM"] = "xterm-256color"
        environment["COLORTERM"] = "truecolor"
        environment["SHELL"] = "/bin/bash"
        let home = environment["HOME"] ?? "/root"
        guard ReaperFiles.exists("/bin/bash") else {
            environment["SHELL"] = "/bin/sh"
            environment["PS1"] = "[\(ReaperProcesses.hostName)]$ "
            return ReaperCommand(arguments: ["/bin/sh", "-i"], environment: environment, workingDirectory: home)
        }
        // Written anew each time: a node's root may have removed it.
        let file = runDirectory + "/bashrc"
        try? ReaperFiles.replace(file, with: Array(startUp.utf8), mode: 0o644, makeParents: true)
        return ReaperCommand(arguments: ["/bin/bash", "--rcfile", file, "-i"], environment: environment, workingDirectory: home)
    }

    /// A command's end and its status stand in the prompt itself (`$?` is still the command's there), so that they
    /// survive a PROMPT_COMMAND of the user's; a PS1 that was changed gets the marks put around it again.
    private static let startUp = #"""
        # Lectern: the start-up file of a terminal's shell.
        [ -r /etc/profile ] && . /etc/profile
        PS1='[\[\e[1;32m\]\h\[\e[0m\] \[\e[34m\]\W\[\e[0m\]]$ '
        [ -r /etc/bash.bashrc ] && __lectern_ps1=$PS1 && . /etc/bash.bashrc && PS1=$__lectern_ps1
        [ -r ~/.bashrc ] && . ~/.bashrc
        unset __lectern_ps1
        __lectern_mark() {
          local status=$?
          case $PS1 in
            *'133;B'*) ;;
            *) PS1='\[\e]133;D;$?\a\e]133;A\a\]'$PS1'\[\e]133;B\a\]' ;;
          esac
          return $status
        }
        case $PS0 in *'133;C'*) ;; *) PS0=$PS0'\e]133;C\a' ;; esac
        PROMPT_COMMAND+=(__lectern_mark)
        shopt -s checkwinsize histappend
        HISTCONTROL=ignoredups
        """# + "\n"
}
