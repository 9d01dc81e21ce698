// The controllers of a lab's own cluster, by the names that `--controllers` knows. To add one: a file, and a line in `all`.
//
// May touch: the API only. Caller: kube-controller-manager. All share one informer a kind and one client.
package import ClusterClient
internal import ClusterModel
package import Essentials
internal import Logging

/// One controller that can be switched on and off.
package struct ControllerEntry: Sendable {
    package let name: String
    /// Whether `*` means it too.
    package var isOnByDefault = true
    let make: @Sendable (ControllerContext) -> any Controller

    init(_ name: String, isOnByDefault: Bool = true, _ make: @escaping @Sendable (ControllerContext) -> any Controller) {
        self.name = name
        self.isOnByDefault = isOnByDefault
        self.make = make
    }
}

package struct ClusterControllers: Sendable {
    package static let all: [ControllerEntry] = [
        ControllerEntry("replicaset-controller") { ReplicaSetController($0) },
        ControllerEntry("replicationcontroller-controller") { ReplicaSetController($0, family: .replicationControllers) },
        ControllerEntry("deployment-controller") { DeploymentController($0) },
        ControllerEntry("daemonset-controller") { DaemonSetController($0) },
        ControllerEntry("statefulset-controller") { StatefulSetController($0) },
        ControllerEntry("job-controller") { JobController($0) },
        ControllerEntry("ttl-after-finished-controller") { JobExpiry($0) },
        ControllerEntry("cronjob-controller") { CronJobController($0) },
        ControllerEntry("garbage-collector-controller") { GarbageCollector($0) },
        ControllerEntry("namespace-controller") { NamespaceLifecycle($0) },
        ControllerEntry("pod-garbage-collector-controller") { PodGarbage($0) },
        ControllerEntry("ttl-controller") { NodeTTL($0) },
        ControllerEntry("event-expiry-controller") { EventCleaner(client: $0.client, clock: $0.clock) },
        ControllerEntry("endpoints-controller") { EndpointsController($0) },
        ControllerEntry("endpointslice-controller") { EndpointSliceController($0) },
        ControllerEntry("endpointslice-mirroring-controller") { EndpointSliceMirroring($0) },
        ControllerEntry("serviceaccount-controller") { ServiceAccountController($0) },
        ControllerEntry("serviceaccount-token-controller") { TokenSecretController($0) },
        ControllerEntry("root-ca-certificate-publisher-controller") { RootCertificatePublisher($0) },
        ControllerEntry("certificatesigningrequest-approving-controller") { SigningApprover($0) },
        ControllerEntry("certificatesigningrequest-signing-controller") { SigningController($0) },
        ControllerEntry("bootstrap-signer-controller", isOnByDefault: false) { BootstrapSigner($0) },
        ControllerEntry("token-cleaner-controller", isOnByDefault: false) { TokenCleaner($0) },
        ControllerEntry("service-lb-controller") { LoadBalancers($0) },
        ControllerEntry("node-ipam-controller") { NodeAddresses($0) },
        ControllerEntry("node-lifecycle-controller") { LabNodeLifecycle($0) },
        ControllerEntry("taint-eviction-controller") { TaintEviction($0) },
    ]

    /// To be set before `run`.
    package var settings = ControllerSettings()
    private let client: ClusterClient
    private let selection: [String]
    private let clock: any WallClock

    /// `selection` as `--controllers` has it: `*`, names, and names after a `-`.
    package init(client: ClusterClient, selection: [String] = ["*"], clock: any WallClock = SystemClock()) {
        self.client = client
        self.selection = selection
        self.clock = clock
    }

    /// The words of a selection that name no controller.
    package static func unknown(_ selection: [String]) -> [String] {
        selection.filter { word in
            let name = word.hasPrefix("-") ? String(word.dropFirst()) : word
            return name != "*" && !all.contains { $0.isNamed(name) }
        }
    }

    package static func chosen(_ selection: [String]) -> [ControllerEntry] {
        all.filter { entry in
            for word in selection {
                if entry.isNamed(word) { return true }
                if word.hasPrefix("-"), entry.isNamed(String(word.dropFirst())) { return false }
            }
            return entry.isOnByDefault && selection.contains("*")
        }
    }

    /// Runs until cancelled.
    package func run() async throws {
        let informers = SharedInformers(client: client)
        var context = ControllerContext(client: client, informers: informers, clock: clock)
        context.settings = settings
        let entries = Self.chosen(selection)
        let controllers = entries.map { [context] in $0.make(context) }
        Logger(label: "controllermanager").info(
            "Started controllers", metadata: ["controllers": "\(entries.map(\.name).joined(separator: " "))"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await informers.run() }
            for controller in controllers { group.addTask { try await controller.run() } }
            try await group.next()
            group.cancelAll()
        }
    }
}

extension ControllerEntry {
    /// Names of before 1.28 that differ by more than the ending.
    private static let formerNames = [
        "endpoint": "endpoints-controller", "endpointslicemirroring": "endpointslice-mirroring-controller",
        "replicationcontroller": "replicationcontroller-controller", "podgc": "pod-garbage-collector-controller",
        "garbagecollector": "garbage-collector-controller", "horizontalpodautoscaling": "horizontal-pod-autoscaler-controller",
        "csrsigning": "certificatesigningrequest-signing-controller", "csrapproving": "certificatesigningrequest-approving-controller",
        "csrcleaner": "certificatesigningrequest-cleaner-controller", "bootstrapsigner": "bootstrap-signer-controller",
        "tokencleaner": "token-cleaner-controller", "nodeipam": "node-ipam-controller", "service": "service-lb-controller",
        "nodelifecycle": "node-lifecycle-controller",
        "attachdetach": "persistentvolume-attach-detach-controller", "pvc-protection": "persistentvolumeclaim-protection-controller",
        "pv-protection": "persistentvolume-protection-controller", "root-ca-cert-publisher": "root-ca-certificate-publisher-controller",
    ]

    /// Former names, most of them without the ending, still count.
    fileprivate func isNamed(_ word: String) -> Bool { word == name || word + "-controller" == name || Self.formerNames[word] == name }
}
