// swift-tools-version: 6.1
// The layers of Lectern as a diagram: each row may use what stands below it, never what stands above.
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .unsafeFlags(["-warnings-as-errors"]),
]

let collections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let yaml: Target.Dependency = .product(name: "Yams", package: "Yams")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

/// One room: `Sources/LAYER/NAME`.
func room(
    _ layer: String, _ name: String, uses: [Target.Dependency] = [], resources: [Resource] = [], links: [LinkerSetting] = []
) -> Target {
    .target(
        name: name, dependencies: uses, path: "Sources/\(layer)/\(name)", resources: resources, swiftSettings: strict,
        linkerSettings: links)
}

/// One program: flags and wiring only.
func program(_ name: String, target: String, uses: [Target.Dependency], links: [LinkerSetting] = []) -> Target {
    .executableTarget(name: target, dependencies: uses, path: "Sources/Programs/\(name)", swiftSettings: strict, linkerSettings: links)
}

/// A C library of the system, or inline shims over its headers.
func c(_ name: String, pkgConfig: String? = nil) -> Target {
    .systemLibrary(name: name, path: "Sources/C/\(name)", pkgConfig: pkgConfig)
}

func tests(_ name: String, uses: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: uses, path: "Tests/\(name)", resources: resources, swiftSettings: strict)
}

/// Runs in images of any kind, also in empty ones: nothing is loaded at run time, not even glibc.
let whole: [LinkerSetting] = [.linkedLibrary("cap"), .unsafeFlags(["-static-executable"], .when(configuration: .release))]

let programs: [Target] = [
    program(
        "lectern", target: "lectern",
        uses: [
            "Gateway", "Settings", "Labs", "Terminals", "Ports", "Accounts", "Workshops", "APIFront", "APIServer", "Scheduler",
            "Controllers",
            "Kubelet", "Containers", "Network", "ClusterClient", "ClusterStore", "ClusterModel", "Web", "Crypto",
            "Database", "Kernel", "Essentials", arguments, logging, yaml,
        ]),
    program("node-agent", target: "node-agent", uses: ["Agent", "Kernel", "Essentials"]),
    program(
        "labkube", target: "labkube",
        uses: [
            "APIFront", "APIServer", "Access", "StoreServer", "Controllers", "Scheduler", "NodeKubelet", "Pods", "PodRuntime", "PodNetwork",
            "ServiceProxy", "ClusterDNS", "ClusterView", "Kubeadm", "ClusterWire", "ClusterClient", "ClusterStore", "ClusterModel", "Web",
            "Crypto", "Database", "Kernel", "Yaml", "Essentials", logging,
        ], links: whole),
]

/// What measures; no part of the product.
let benches: [Target] = [
    .executableTarget(
        name: "apiload", dependencies: ["ClusterWire", "ClusterClient", "ClusterModel", "Essentials"], path: "Tests/Bench/APILoad",
        swiftSettings: strict)
]

let classroom: [Target] = [
    room(
        "Classroom", "Gateway",
        uses: [
            "Accounts", "Labs", "Terminals", "Ports", "Workshops", "APIServer", "ClusterModel", "Web", "Compression", "Crypto",
            "Essentials", logging,
        ]),
    room("Classroom", "Settings", uses: ["Labs", "Web", "Essentials", yaml]),
    room("Classroom", "Labs", uses: ["ClusterClient", "ClusterModel", "Database", "Crypto", "Essentials", logging]),
    room("Classroom", "Terminals", uses: ["Web", "Essentials", logging]),
    room("Classroom", "Ports", uses: ["Web", "Crypto", "Essentials", logging]),
    room("Classroom", "Accounts", uses: ["Database", "Crypto", "Essentials", logging]),
    room("Classroom", "Workshops", uses: ["Markup", "Essentials", yaml, logging]),
]

let controlPlane: [Target] = [
    room("ControlPlane", "APIServer", uses: ["ClusterStore", "ClusterModel", "Essentials", collections, logging]),
    room("ControlPlane", "Controllers", uses: ["ClusterClient", "ClusterModel", "Crypto", "Essentials", logging]),
    room("ControlPlane", "Scheduler", uses: ["ClusterClient", "ClusterModel", "Essentials", logging]),
    room("ControlPlane", "Access", uses: ["ClusterClient", "ClusterModel", "Crypto", "Essentials", logging]),
    room(
        "ControlPlane", "APIFront",
        uses: ["APIServer", "Access", "ClusterWire", "ClusterClient", "ClusterModel", "Web", "Crypto", "Yaml", "Essentials", logging]),
    room("ControlPlane", "StoreServer", uses: ["ClusterStore", "ClusterModel", "Database", "Web", "Crypto", "Essentials", logging]),
]

let node: [Target] = [
    room("Node", "Kubelet", uses: ["Containers", "Network", "ClusterClient", "ClusterModel", "Kernel", "Essentials", logging]),
    room("Node", "Containers", uses: ["Kernel", "Crypto", "Essentials", logging]),
    room("Node", "Network", uses: ["Kernel", "Essentials", logging]),
    room("Node", "Agent", uses: ["Screen", "Kernel", "Essentials"]),
    room("Node", "Pods", uses: ["ClusterModel", "Essentials"]),
    room("Node", "PodRuntime", uses: ["Pods", "Containers", "ClusterModel", "Kernel", "Essentials", logging]),
    room(
        "Node", "NodeKubelet",
        uses: ["Pods", "ClusterWire", "ClusterClient", "ClusterModel", "Web", "Crypto", "Kernel", "Yaml", "Essentials", logging]),
    room("Node", "PodNetwork", uses: ["ClusterWire", "ClusterClient", "ClusterModel", "Kernel", "Essentials", logging]),
    room("Node", "ServiceProxy", uses: ["ClusterWire", "ClusterClient", "ClusterModel", "Kernel", "Essentials", logging]),
    room("Node", "ClusterDNS", uses: ["ClusterWire", "ClusterClient", "ClusterModel", "Kernel", "Web", "Essentials", logging]),
    room("Node", "ClusterView", uses: ["ClusterWire", "ClusterClient", "ClusterModel", "Essentials", logging]),
    room(
        "Node", "Kubeadm", uses: ["ClusterWire", "ClusterClient", "ClusterModel", "Web", "Crypto", "Kernel", "Yaml", "Essentials", logging]),
]

let cluster: [Target] = [
    room("Cluster", "ClusterClient", uses: ["ClusterModel", "Essentials", logging]),
    room("Cluster", "ClusterWire", uses: ["ClusterClient", "ClusterModel", "Web", "Crypto", "Yaml", "Essentials", logging]),
    room("Cluster", "ClusterStore", uses: ["Database", "Web", "ClusterModel", "Essentials", logging]),
    room("Cluster", "ClusterModel", uses: ["Essentials", collections]),
]

let platform: [Target] = [
    room("Platform", "Web", uses: ["CLibwebsockets", "COpenSSL", "CLinux", "Compression", "Essentials", logging]),
    room("Platform", "Crypto", uses: ["COpenSSL", "Essentials"]),
    room("Platform", "Database", uses: ["CSQLite", "Essentials"]),
    room("Platform", "Kernel", uses: ["CLinux", "Essentials"]),
    room("Platform", "Compression", uses: ["CZlib"]),
    room("Platform", "Yaml", uses: ["CLibyaml", "Essentials", collections]),
    room("Platform", "Markup", uses: ["CCmark", "Essentials"]),
    room("Platform", "Screen"),
]

let essentials: [Target] = [room("Essentials", "Essentials", uses: [collections])]

let cLibraries: [Target] = [
    c("CLibwebsockets", pkgConfig: "libwebsockets"),
    c("COpenSSL", pkgConfig: "openssl"),
    c("CSQLite", pkgConfig: "sqlite3"),
    c("CCmark"),
    c("CZlib", pkgConfig: "zlib"),
    c("CLibyaml", pkgConfig: "yaml-0.1"),
    c("CLinux"),
]

let allTests: [Target] = [
    tests("EssentialsTests", uses: ["Essentials"]),
    tests("WebTests", uses: ["Web", "Crypto", "Essentials"]),
    tests("CryptoTests", uses: ["Crypto", "Essentials"]),
    tests("DatabaseTests", uses: ["Database", "Essentials"]),
    tests("KernelTests", uses: ["Kernel", "Essentials"]),
    tests("CompressionTests", uses: ["Compression"]),
    tests("YamlTests", uses: ["Yaml", "Essentials"]),
    tests("MarkupTests", uses: ["Markup", "Essentials"]),
    tests("ScreenTests", uses: ["Screen", "Essentials"]),
    tests("ClusterTests", uses: ["ClusterModel", "ClusterStore", "ClusterClient", "Database", "Essentials"]),
    tests(
        "ControlPlaneTests",
        uses: ["APIServer", "Scheduler", "Controllers", "ClusterModel", "ClusterStore", "ClusterClient", "Database", "Essentials"]),
    tests("NodeTests", uses: ["Kubelet", "Containers", "Network", "Kernel", "ClusterModel", "ClusterClient", "Essentials", collections]),
    tests(
        "WireTests",
        uses: [
            "APIFront", "Access", "ClusterWire", "APIServer", "ClusterClient", "ClusterStore", "ClusterModel", "Web", "Crypto", "Yaml",
            "Essentials",
        ]),
    tests(
        "StoreServerTests", uses: ["StoreServer", "ClusterStore", "ClusterModel", "Database", "Web", "Crypto", "Kernel", "Essentials"]),
    tests(
        "PodsTests",
        uses: [
            "Pods", "PodRuntime", "NodeKubelet", "APIServer", "ClusterStore", "ClusterWire", "ClusterClient", "ClusterModel", "Database",
            "Web",
            "Crypto", "Kernel", "Essentials",
        ]),
    tests("PodRuntimeTests", uses: ["Pods", "PodRuntime", "Containers", "ClusterModel", "Kernel", "Essentials"]),
    tests("PodLiveTests", uses: ["Pods", "PodRuntime", "Containers", "ClusterModel", "Kernel", "Essentials"]),
    tests(
        "LabNetworkTests",
        uses: ["PodNetwork", "ServiceProxy", "ClusterDNS", "ClusterClient", "ClusterModel", "Kernel", "Yaml", "Essentials"]),
    tests(
        "LabNetworkLiveTests",
        uses: [
            "PodNetwork", "ServiceProxy", "ClusterDNS", "APIServer", "ClusterClient", "ClusterStore", "ClusterModel", "Database",
            "Kernel", "Essentials",
        ]),
    tests("KubeadmTests", uses: ["Kubeadm", "ClusterWire", "ClusterView", "ClusterModel", "Crypto", "Kernel", "Yaml", "Essentials"]),
    tests("AgentTests", uses: ["Agent", "Screen", "Kernel", "Essentials"]),
    tests("WorkshopsTests", uses: ["Workshops", "Markup", "Essentials", collections]),
    tests("SettingsTests", uses: ["Settings", "Labs", "Web", "Essentials"]),
    tests("LabsTests", uses: ["Labs", "Accounts", "ClusterModel", "ClusterClient", "Database", "Essentials"]),
    tests("TerminalsTests", uses: ["Terminals", "Ports", "Web", "Essentials"]),
    tests("GatewayTests", uses: ["Gateway", "Accounts", "Labs", "Workshops", "Web", "Essentials"]),
    tests("ArchitectureTests", uses: ["Essentials"]),
    tests(
        "SandboxLiveTests",
        uses: [
            "Containers", "Network", "Kernel", "Kubelet", "APIServer", "ClusterClient", "ClusterStore", "ClusterModel", "Essentials",
            collections,
        ]),
]

let package = Package(
    name: "lectern",
    products: [
        .executable(name: "lectern", targets: ["lectern"]),
        .executable(name: "node-agent", targets: ["node-agent"]),
        .executable(name: "labkube", targets: ["labkube"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: programs + classroom + controlPlane + node + cluster + platform + essentials + cLibraries + benches + allTests
)
