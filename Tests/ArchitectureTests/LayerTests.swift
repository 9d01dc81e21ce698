// The folder tree is the architecture diagram: who may import whom.
import Testing

@Suite struct LayerTests {
    private let tree = SourceTree.shared

    @Test func theTreeIsTheOneThatPackageSwiftDeclares() {
        var findings = Findings()
        for file in tree.sources where file.layer != "Programs" {
            if tree.room(file.room)?.layer != file.layer {
                findings.add(file, line: 1, "Package.swift declares no room \(file.room) in the layer \(file.layer)")
            }
        }
        #expect(tree.rooms.count >= 20, "Package.swift no longer reads as rooms; this test reads `room(\"LAYER\", \"NAME\", uses: […])`")
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test func importsPointDownwards() {
        var findings = Findings()
        for file in tree.sources where file.layer != "Programs" {
            guard let rank = SourceTree.layers.firstIndex(of: file.layer) else { continue }
            for (line, module) in file.imports {
                guard let imported = tree.room(module), let importedRank = SourceTree.layers.firstIndex(of: imported.layer) else {
                    continue
                }
                if importedRank < rank {
                    findings.add(file, line: line, "\(file.layer) may not use \(module), which stands above it in \(imported.layer)")
                }
                if tree.room(file.room)?.uses.contains(module) == false {
                    findings.add(file, line: line, "\(file.room) does not declare that it uses \(module)")
                }
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    /// The control plane and the node meet only through Cluster/ClusterClient; the programs wire them together.
    @Test func controlPlaneAndNodeDoNotKnowEachOther() {
        var findings = Findings()
        let apart = ["ControlPlane": "Node", "Node": "ControlPlane"]
        for file in tree.sources {
            guard let other = apart[file.layer] else { continue }
            for (line, module) in file.imports where tree.room(module)?.layer == other {
                findings.add(file, line: line, "\(file.layer) uses \(module) of \(other); let them meet through ClusterClient")
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    /// The classroom speaks the Kubernetes API, so that a lab may live on another machine.
    @Test func theClassroomDoesNotKnowTheNode() {
        var findings = Findings()
        for file in tree.sources where file.layer == "Classroom" {
            for (line, module) in file.imports where tree.room(module)?.layer == "Node" || module == "Kernel" {
                findings.add(file, line: line, "\(file.room) may not assume that nodes run on this host, so it cannot use \(module)")
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    /// A C library has one room of Platform that imports it. OpenSSL has two: keys and hashes, and TLS on the loop.
    @Test func everyCLibraryHasItsRoom() {
        let importers: [String: Set<String>] = [
            "CLibwebsockets": ["Web"], "COpenSSL": ["Crypto", "Web"], "CSQLite": ["Database"], "CCmark": ["Markup"],
            "CLinux": ["Kernel", "Web"], "CZlib": ["Compression"], "CLibyaml": ["Yaml"],
        ]
        var findings = Findings()
        #expect(tree.cModules == Set(importers.keys), "name the room that may import it here")
        for file in tree.sources {
            for (line, module) in file.imports where tree.cModules.contains(module) {
                if file.layer != "Platform" || importers[module]?.contains(file.room) != true {
                    findings.add(file, line: line, "\(module) is imported by \(importers[module, default: []].sorted()) only")
                }
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    /// Foundation costs a node's program 60 MB on disk, and a second way to do things.
    @Test func foundationStaysOnTheHost() {
        let without: Set<String> = [
            "Essentials", "ClusterModel", "ClusterStore", "ClusterClient", "Database", "Crypto", "Kernel", "Screen", "Agent", "Web",
            "Yaml", "ClusterWire", "APIServer", "Controllers", "Scheduler", "Access", "APIFront", "StoreServer", "Pods", "PodRuntime",
            "NodeKubelet", "PodNetwork", "ServiceProxy", "ClusterDNS", "ClusterView", "Kubeadm", "node-agent", "labkube",
        ]
        var findings = Findings()
        for file in tree.sources where without.contains(file.room) {
            for (line, module) in file.imports where module.hasPrefix("Foundation") {
                findings.add(file, line: line, "\(file.room) does without \(module): use Glibc, or a room of Platform")
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }
}
