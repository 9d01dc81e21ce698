// Runs the real kubectl for the classic one: in its place, or with its output read first.
internal import Essentials
internal import Kernel
internal import Yaml

package struct ClassicRunner {
    private let program: String
    private let print: (String) -> Void
    private let complain: (String) -> Void
    private let kernel = LinuxKernel()
    /// More than this of kubectl's output is not looked at.
    private static let outputLimitBytes = 64 << 20

    package init(program: String = "/usr/bin/kubectl", print: @escaping (String) -> Void, complain: @escaping (String) -> Void) {
        self.program = program
        self.print = print
        self.complain = complain
    }

    package func run(_ words: [String]) -> Int32 {
        switch ClassicKubectl.decide(words) {
        case .pass(let words): return replace(words)
        case .create(let object, let options, let note):
            complain(note + "\n")
            guard ReaperProcesses.giveInput(object.bytes) else { return 1 }
            return replace(options + ["create", "-f", "-"])
        case .export(let words, let yaml):
            let (status, bytes) = output(words + ["-o", "json"])
            guard status == 0, let object = try? JSON(parsing: bytes) else { return status == 0 ? 1 : status }
            complain(
                "kubectl of today: kubectl \(words.joined(separator: " ")) -o \(yaml ? "yaml" : "json"), and remove by hand what the cluster added\n"
            )
            let exported = ClassicKubectl.exported(object)
            print(yaml ? YAML.text(exported) : exported.text + "\n")
            return 0
        case .listTypes:
            let (status, bytes) = output(["api-resources", "--no-headers"])
            guard status == 0 else { return status }
            print("You must specify the type of resource to get. Valid resource types include:\n\n    * all\n")
            for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").sorted() {
                let columns = line.split(separator: " ")
                guard let name = columns.first else { continue }
                // NAME SHORTNAMES APIVERSION NAMESPACED KIND
                print(
                    "    * \(name)"
                        + (columns.count == 5 ? " (aka \(columns[1].split(separator: ",").map { "'\($0)'" }.joined(separator: ", ")))" : "")
                        + "\n")
            }
            complain("error: Required resource not specified.\nkubectl of today: kubectl api-resources\n")
            return 1
        }
    }

    private func replace(_ words: [String]) -> Int32 {
        ReaperProcesses.become(program, ["kubectl"] + words)
        complain("\(program): could not be started\n")
        return 127
    }

    private func output(_ words: [String]) -> (status: Int32, bytes: [UInt8]) {
        do {
            let (reader, writer) = try kernel.makePipe()
            let environment = ReaperProcesses.environment.map { "\($0.key)=\($0.value)" }
            let process = try kernel.spawn(
                Command(
                    path: program, arguments: ["kubectl"] + words, environment: environment,
                    descriptors: [ReaperProcesses.duplicate(0), writer, ReaperProcesses.duplicate(2)]))
            writer.close()
            var bytes: [UInt8] = []
            while bytes.count < Self.outputLimitBytes, let more = try kernel.receive(from: reader, limitBytes: 1 << 16), !more.isEmpty {
                bytes += more
            }
            return (try kernel.wait(process).code, bytes)
        } catch {
            complain("\(program): \(error)\n")
            return (127, [])
        }
    }
}
