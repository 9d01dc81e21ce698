// `lectern-cni` under all the names that network configurations know: the CNI plugin.
internal import Glibc
internal import Kernel
internal import PodNetwork

enum CNIComponent: InstantComponent {
    static let name = "lectern-cni"

    static func finish(_ flags: Flags) -> Int32 {
        var environment: [String: String] = [:]
        for name in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_PATH"] {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        if environment["CNI_COMMAND"] == nil {
            Flags.printError(
                "CNI plugin \(flags.name): asked through the CNI contract, versions \(CNIRequest.versions.joined(separator: ", "))\n")
        }
        let input = (try? LinuxKernel().read("/dev/stdin", limitBytes: CNIRequest.inputLimitBytes)) ?? []
        let (text, status) = CNIPlugin(name: flags.name, node: nil).run(environment: environment, input: input)
        _ = PTYFiles.write(1, Array(text.utf8))
        return status
    }
}
