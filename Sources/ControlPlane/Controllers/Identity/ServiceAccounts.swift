// What every namespace has without being asked: the service account `default`, and the cluster's root certificate.
internal import ClusterClient
internal import ClusterModel
internal import Essentials

struct ServiceAccountController: Controller {
    private let context: ControllerContext
    private let namespaces: Informer
    private let accounts: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        namespaces = context.informers.informer(.namespaces)
        accounts = context.informers.informer(.serviceAccounts)
    }

    func run() async throws {
        try await reconcile(
            queue, workers: 2, caches: [namespaces, accounts],
            feeds: [
                {
                    for await change in namespaces.changes() { queue.add(change.object.metaName) }
                    try Task.checkCancellation()
                },
                {
                    for await change in accounts.changes() {
                        if case .deleted(let account) = change, account.metaName == "default" { queue.add(account.metaNamespace ?? "") }
                    }
                    try Task.checkCancellation()
                },
            ]
        ) { name in
            guard let namespace = namespaces.item(name: name), !namespace.isBeingDeleted,
                accounts.item(namespace: name, name: "default") == nil
            else { return }
            try await ignoring {
                _ = try await context.create(.serviceAccounts, ["metadata": ["name": "default", "namespace": JSON(name)]])
            }
        }
    }
}

/// Puts the authority of the API server's certificate into each namespace, where pods' tokens are mounted from.
struct RootCertificatePublisher: Controller {
    static let name = "kube-root-ca.crt"

    private let context: ControllerContext
    private let namespaces: Informer
    private let maps: Informer
    private let queue = WorkQueue()

    init(_ context: ControllerContext) {
        self.context = context
        namespaces = context.informers.informer(.namespaces)
        maps = context.informers.informer(.configMaps)
    }

    func run() async throws {
        guard let certificate = context.settings.rootCertificate, !certificate.isEmpty else {
            return try await Task.sleep(for: .seconds(1 << 30))
        }
        try await reconcile(
            queue, workers: 2, caches: [namespaces, maps],
            feeds: [
                {
                    for await change in namespaces.changes() { queue.add(change.object.metaName) }
                    try Task.checkCancellation()
                },
                {
                    for await change in maps.changes() where change.object.metaName == Self.name {
                        queue.add(change.object.metaNamespace ?? "")
                    }
                    try Task.checkCancellation()
                },
            ]
        ) { name in
            guard let namespace = namespaces.item(name: name), !namespace.isBeingDeleted else { return }
            let data: JSON = ["ca.crt": JSON(certificate)]
            if let map = maps.item(namespace: name, name: Self.name) {
                guard map["data"] != data else { return }
                var changed = map
                changed["data"] = data
                try await ignoring { try await context.update(.configMaps, changed) }
                return
            }
            let about =
                "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
            try await ignoring {
                _ = try await context.create(
                    .configMaps,
                    [
                        "metadata": [
                            "name": JSON(Self.name), "namespace": JSON(name), "annotations": ["kubernetes.io/description": JSON(about)],
                        ], "data": data,
                    ])
            }
        }
    }
}

/// What another was faster with, or what went away meanwhile, is no failure: its change comes as an event of its own.
func ignoring(_ body: () async throws -> Void) async throws {
    do { try await body() } catch let problem as ClusterProblem {
        let isOver =
            problem.isAlreadyExists || problem.isNotFound || problem.isConflict
            || problem.causes.contains { $0.reason == "NamespaceTerminating" }
        if !isOver { throw problem }
    }
}
