// `cp` as init containers of pod networks use it. The program itself is not copied: a link leads to what every node has.
internal import Kernel
internal import PodNetwork

enum CopyComponent: InstantComponent {
    static let name = "cp"

    static func finish(_ flags: Flags) -> Int32 {
        let words = flags.words.filter { !$0.hasPrefix("-") }
        guard words.count == 2 else {
            Flags.printError("cp: usage: cp [-f] FILE FILE\n")
            return 2
        }
        let kernel = LinuxKernel()
        var target = words[1]
        if kernel.isDirectory(target) { target += "/" + (words[0].split(separator: "/").last ?? "") }
        do throws(KernelProblem) {
            if kernel.linkTarget(words[0]) == CNIInstallation.program {
                try kernel.replaceLink(target, to: CNIInstallation.program)
            } else {
                let bytes = try kernel.read(words[0], limitBytes: 64 << 20)
                try kernel.write(target, bytes, mode: 0o644, owner: nil)
            }
            return 0
        } catch {
            Flags.printError("cp: cannot copy '\(words[0])' to '\(target)': \(Errno.text(error.code))\n")
            return 1
        }
    }
}
