// A runtime without a kernel: remembers what it was asked for, and ends containers when a test says so.
import ClusterModel
import Essentials
import Pods
import Synchronization

final class FakeRuntime: PodRuntime {
    struct Running: Sendable {
        var plan: PodContainerPlan
        var id: String
        var exit: ContainerExit?
        var startedAt: Timestamp
    }
    struct State {
        var networkProblem: String?
        var sandboxes: [String: SandboxPlan] = [:]
        var containers: [String: Running] = [:]
        var signals: [(container: String, signal: Int32)] = []
        var images: [String: PulledImage] = [:]
        /// A command that a container runs to its end at once, with its exit code.
        var exitCodes: [String: Int] = [:]
        /// Containers that do not mind TERM.
        var stubborn: Set<String> = []
        var commands: [[String]] = []
        /// Exit codes of exec'ed commands by their first word.
        var answers: [String: Int] = [:]
        var adopted: [FoundSandbox] = []
        var messages: [String: String] = [:]
        var removed: [String] = []
    }

    let state = Mutex(State())
    let exits: AsyncStream<ContainerExit>
    private let input: AsyncStream<ContainerExit>.Continuation

    init() {
        (exits, input) = AsyncStream.makeStream()
        add(image: "alpine")
        add(image: "busybox")
    }

    func add(image: String, configuration: JSON = .emptyObject) {
        let repository = "docker.io/library/\(image.split(separator: ":")[0])"
        state.withLock {
            $0.images[image] = PulledImage(
                reference: image, id: "\(repository)@sha256:00", sizeBytes: 1000, configuration: configuration)
        }
    }

    /// By name, whichever pod it is in.
    func container(_ name: String) -> Running? {
        state.withLock { $0.containers.first { $0.key.hasSuffix("/" + name) && $0.value.exit == nil }?.value }
    }

    func end(_ name: String, code: Int = 0) {
        let found = state.withLock { state in state.containers.first { $0.key.hasSuffix("/" + name) && $0.value.exit == nil }?.key }
        if let found { end(key: found, code: code) }
    }

    private func end(key: String, code: Int) {
        let exit: ContainerExit? = state.withLock { state in
            guard var running = state.containers[key], running.exit == nil else { return nil }
            let exit = ContainerExit(
                podUID: running.plan.podUID, container: running.plan.name, attempt: running.plan.attempt, exitCode: code,
                finishedAt: SystemClock().now())
            running.exit = exit
            state.containers[key] = running
            return exit
        }
        if let exit { input.yield(exit) }
    }

    func networkProblem() async -> String? { state.withLock { $0.networkProblem } }
    func adopt() async throws(PodRuntimeProblem) -> [FoundSandbox] { state.withLock { $0.adopted } }

    func startSandbox(_ plan: SandboxPlan) async throws(PodRuntimeProblem) -> [String] {
        state.withLock { state in
            state.sandboxes[plan.uid] = plan
            return plan.hostNetwork ? [] : ["10.244.0.\(state.sandboxes.count + 1)"]
        }
    }

    func removeSandbox(uid: String, namespace: String, name: String) async throws(PodRuntimeProblem) {
        state.withLock { state in
            state.sandboxes[uid] = nil
            state.removed.append(uid)
            for key in state.containers.keys where key.hasPrefix(uid + "/") { state.containers[key] = nil }
        }
    }

    func startContainer(_ plan: PodContainerPlan) async throws(PodRuntimeProblem) -> String {
        let key = plan.podUID + "/" + plan.name
        let id = "id-\(plan.name)-\(plan.attempt)"
        if plan.command.first == "nosuch" {
            throw PodRuntimeProblem(reason: "RunContainerError", message: "exec: \"nosuch\": executable file not found in $PATH")
        }
        let code: Int? = state.withLock { state in
            state.containers[key] = Running(plan: plan, id: id, startedAt: SystemClock().now())
            return state.exitCodes[plan.command.first ?? ""]
        }
        if let code { end(key: key, code: code) }
        return id
    }

    func signal(podUID: String, container: String, _ signal: Int32) async {
        let key = podUID + "/" + container
        let ends = state.withLock { state in
            state.signals.append((container, signal))
            return signal == 9 || !state.stubborn.contains(container)
        }
        if ends { end(key: key, code: 128 + Int(signal)) }
    }

    func removeContainer(podUID: String, container: String, attempt: Int, keepLog: Bool) async {}
    func image(_ reference: String) async -> PulledImage? { state.withLock { $0.images[reference] } }
    func pull(_ reference: String, secrets: [JSON]) async throws(PodRuntimeProblem) -> PulledImage {
        if reference.contains("!") {
            throw PodRuntimeProblem(
                reason: "InvalidImageName", message: "couldn't parse image name \"\(reference)\": invalid reference format")
        }
        guard let image = state.withLock({ $0.images[reference] }) else {
            throw PodRuntimeProblem(reason: "ErrImagePull", message: "\(reference): not found")
        }
        return image
    }
    func images() async -> [(names: [String], sizeBytes: Int64)] {
        state.withLock { $0.images.keys.sorted().map { (["docker.io/library/\($0):latest"], 1000) } }
    }

    func log(podUID: String, namespace: String, pod: String, container: String, attempt: Int, _ options: PodLogOptions)
        throws(PodRuntimeProblem) -> AsyncStream<[UInt8]>
    {
        AsyncStream { continuation in
            continuation.yield(Array("log of \(container) \(attempt)\n".utf8))
            continuation.finish()
        }
    }

    func exec(podUID: String, container: String, command: [String], terminal: Bool, stdin: Bool) async throws(PodRuntimeProblem)
        -> any ContainerStreams
    {
        let code = state.withLock { state in
            state.commands.append(command)
            return state.answers[command.first ?? ""] ?? 0
        }
        return FakeStreams(code: code)
    }
    func attach(podUID: String, container: String, stdin: Bool) async throws(PodRuntimeProblem) -> any ContainerStreams {
        FakeStreams(code: 0)
    }
    func openPort(podUID: String, port: UInt16) async throws(PodRuntimeProblem) -> OwnedDescriptor { OwnedDescriptor(-1) }
    func usage(podUID: String, container: String) async -> ContainerUsage? {
        var usage = ContainerUsage()
        usage.memoryWorkingSetBytes = 1 << 20
        usage.processorNanoseconds = 5_000_000
        return usage
    }
    func terminationMessage(podUID: String, container: String, attempt: Int) async -> String {
        state.withLock { $0.messages[container] ?? "" }
    }
}

struct FakeStreams: ContainerStreams {
    let code: Int
    var output: AsyncStream<(channel: UInt8, bytes: [UInt8])> {
        AsyncStream { continuation in
            continuation.yield((1, Array("said \(code)".utf8)))
            continuation.finish()
        }
    }
    func write(_ bytes: [UInt8]) async {}
    func closeInput() async {}
    func resize(columns: Int, rows: Int) async {}
    func exitCode() async -> Int { code }
    func close() async {}
}
