// The folder of static pods: read when something in it changes, each file a Pod in YAML or JSON.
internal import ClusterModel
internal import Crypto
internal import Essentials
internal import Kernel
internal import Logging
internal import Pods
internal import Yaml

struct ManifestFolder: Sendable {
    /// Files that are read; more than this many are left out.
    static let fileLimit = 100
    static let fileLimitBytes = 1 << 20

    let path: String
    let nodeName: String
    private let log = Logger(label: "kubelet")

    init(path: String, nodeName: String) {
        self.path = path
        self.nodeName = nodeName
    }

    /// The pods by uid. `known` keeps the pods of files that did not change as they were.
    func read(known: [String: JSON]) -> [String: JSON] {
        let kernel = LinuxKernel()
        var pods: [String: JSON] = [:]
        for name in ((try? kernel.list(path)) ?? []).prefix(Self.fileLimit) where !name.hasPrefix(".") {
            let file = path + "/" + name
            guard VolumeFiles.kind(file) == .file else { continue }
            do {
                let bytes = try kernel.read(file, limitBytes: Self.fileLimitBytes)
                let document = try YAML.document(bytes)
                // An empty file is being written; it is read again when it is complete.
                if document.isNull { continue }
                let hash = String(Hex.encode(Hash.sha256(Array((nodeName + file).utf8) + bytes)).prefix(32))
                if let old = known.values.first(where: { $0.metaAnnotations[StaticPods.hashAnnotation] == hash }) {
                    pods[old.metaUID] = old
                    continue
                }
                let pod = try StaticPods.pod(document, nodeName: nodeName, hash: hash, seen: SystemClock().now())
                pods[pod.metaUID] = pod
            } catch {
                log.error("manifest not used", metadata: ["file": "\(file)", "cause": "\(error)"])
            }
        }
        return pods
    }
}
