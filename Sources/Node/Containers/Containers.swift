// Containers: images, disks, control groups, OCI configurations and crun, one step at a time.
//
// A room without opinions: it does what a plan says and undoes it again. The kubelet decides when; `Kernel` does the
// system calls. Everything a lab has on this machine can be found from two places, its directory under STATE/run and its
// control group, so that undoing never needs a memory of what was done:
//
//     STATE/run/mnt                      the pinned mount namespace
//     STATE/run/NAMESPACE/.group/        user (pin), router (pin), group.json
//     STATE/run/NAMESPACE/POD/           pod.json, disk.img, disk/ (mount), lower/, root/ (overlay), net (pin),
//                                        agent.sock, out.fifo, err.fifo, CONTAINER.log, config.json, pid, crun/
internal import Essentials
package import Kernel

package enum ContainersProblem: Problem, Equatable {
    case imageMissing(String)
    case imageBroken(String, String)
    case runtimeMissing
    case runtimeFailed(String)
    case tooManyGroups(limit: Int)
    case kernel(KernelProblem)

    package var reason: String {
        switch self {
        case .imageMissing: "ImageMissing"
        case .imageBroken: "ImageBroken"
        case .runtimeMissing: "RuntimeMissing"
        case .runtimeFailed: "RuntimeFailed"
        case .tooManyGroups: "TooManySandboxes"
        case .kernel(let problem): problem.reason
        }
    }

    package var message: String {
        switch self {
        case .imageMissing(let name): "The image \"\(name)\" is not on this machine. Build it with `lectern images`."
        case .imageBroken(let name, let why): "The image \"\(name)\" cannot be used: \(why)."
        case .runtimeMissing: "crun is not installed. Install the package `crun`."
        case .runtimeFailed: "The container could not be started. The server's log says why."
        case .tooManyGroups(let limit): "This machine already holds \(limit) labs, the most it has user ids for."
        case .kernel(let problem): problem.message
        }
    }

    package var cause: String? {
        switch self {
        case .runtimeFailed(let text): text
        case .kernel(let problem): problem.cause
        default: nil
        }
    }
}

/// Where everything lies below the state directory.
package struct StatePaths: Sendable, Equatable {
    package let state: String
    package let images: String
    package init(state: String, images: String? = nil) {
        self.state = state
        self.images = images ?? state + "/images"
    }

    package var run: String { state + "/run" }
    package var cache: String { state + "/cache" }
    package var mountNamespace: String { run + "/mnt" }
    package func group(_ namespace: String) -> String { "\(run)/\(namespace)" }
    package func groupDetails(_ namespace: String) -> String { "\(run)/\(namespace)/.group" }
    package func userNamespace(_ namespace: String) -> String { groupDetails(namespace) + "/user" }
    package func router(_ namespace: String) -> String { groupDetails(namespace) + "/router" }
    package func pod(_ namespace: String, _ pod: String) -> PodPaths { PodPaths(directory: "\(run)/\(namespace)/\(pod)") }
}

/// Where a pod's things lie.
package struct PodPaths: Sendable, Equatable {
    package let directory: String
    package var record: String { directory + "/pod.json" }
    package var diskImage: String { directory + "/disk.img" }
    package var disk: String { directory + "/disk" }
    package var lower: String { directory + "/lower" }
    package var root: String { directory + "/root" }
    package var upper: String { disk + "/upper" }
    package var work: String { disk + "/work" }
    package var volumes: String { disk + "/volumes" }
    package var binds: String { directory + "/binds" }
    package var network: String { directory + "/net" }
    package var agentSocket: String { directory + "/agent.sock" }
    package var output: String { directory + "/out.fifo" }
    package var errors: String { directory + "/err.fifo" }
    package var configuration: String { directory + "/config.json" }
    package var processFile: String { directory + "/pid" }
    package var runtime: String { directory + "/crun" }
    package var runtimeLog: String { directory + "/crun.log" }
    package func log(_ container: String) -> String { "\(directory)/\(container).log" }
}

/// Turns kernel errors into this room's.
func lifting<Result>(_ body: () throws(KernelProblem) -> Result) throws(ContainersProblem) -> Result {
    do throws(KernelProblem) { return try body() } catch { throw .kernel(error) }
}
