// The lab lifecycle: makes labs out of Kubernetes objects, keeps them in step, and ends them in time.
//
// Everything that must outlive the process stands in the objects' annotations, so a restart finds every lab by listing.
// All decisions are made by `AdmissionRules`, `Lifetime` and `LabView`; this actor watches, decides and writes.
// Invariant: a record is put into `records` before the first `await` of its creation, so two requests never share a place.
package import ClusterClient
internal import ClusterModel
package import Essentials
package import Logging
internal import Synchronization

/// What the rest of Lectern hears of labs.
package enum LabChange: Sendable {
    case changed(Lab)
    case warning(lab: Lab, minutesLeft: Int)
}

package struct LabServiceConfiguration: Sendable {
    package var memoryTotalBytes: Int64
    /// What a workshop asks for; `nil` where there is none of that name.
    package var spec: @Sendable (_ workshop: String) async throws(LabProblem) -> LabSpec
    /// The memory that all labs use now.
    package var memoryUsedBytes: @Sendable () async -> Int64

    package init(
        memoryTotalBytes: Int64, spec: @escaping @Sendable (_ workshop: String) async throws(LabProblem) -> LabSpec,
        memoryUsedBytes: @escaping @Sendable () async -> Int64
    ) {
        self.memoryTotalBytes = memoryTotalBytes
        self.spec = spec
        self.memoryUsedBytes = memoryUsedBytes
    }
}

package actor LabService {
    /// Sources whose request rate is remembered at once; past it the full buckets are forgotten first.
    package static let bucketLimit = 10_000
    /// Changes a slow listener may fall behind; past it the oldest are dropped, and the next change carries the whole lab.
    package static let changeBufferLimit = 1024
    /// Activity is written to the lab's annotations at most this often.
    package static let activityWriteSeconds = 60.0
    /// An end that has not come about after this long is asked for again.
    package static let deletionRetrySeconds = 15.0

    let client: ClusterClient
    let history: any LabHistory
    let clock: any WallClock
    let configuration: LabServiceConfiguration
    let log: Logger
    package private(set) var caps: Caps

    var records: [String: LabRecord] = [:]
    var pods: [String: [String: JSON]] = [:]
    private var making: Set<String> = []
    private var isAdopted = false
    private var adoptionWaiters: [CheckedContinuation<Void, Never>] = []
    private var published: [String: Lab] = [:]
    private var warnedUntil: [String: Timestamp] = [:]
    private var activityWritten: [String: Timestamp] = [:]
    private var buckets: [String: RequestBucket] = [:]
    private var deletionAsked: [String: Timestamp] = [:]
    private nonisolated let listeners = Mutex<[String: AsyncStream<LabChange>.Continuation]>([:])
    private var memoryUsedBytes: Int64 = 0

    package init(
        client: ClusterClient, history: any LabHistory, caps: Caps, configuration: LabServiceConfiguration,
        clock: any WallClock = SystemClock(), log: Logger = Logger(label: "labs")
    ) {
        self.client = client
        self.history = history
        self.caps = caps
        self.configuration = configuration
        self.clock = clock
        self.log = log
    }

    private var rules: AdmissionRules { AdmissionRules(caps: caps, memoryTotalBytes: configuration.memoryTotalBytes) }
    private var load: [LabLoad] { records.values.filter { !$0.isDeleting }.map(\.load) }

    // MARK: - Asked from outside

    /// Changes of all labs from now on.
    package nonisolated func changes() -> AsyncStream<LabChange> {
        let (stream, continuation) = AsyncStream.makeStream(of: LabChange.self, bufferingPolicy: .bufferingNewest(Self.changeBufferLimit))
        let name = Identifier.uuid()
        listeners.withLock { $0[name] = continuation }
        continuation.onTermination = { [weak self] _ in _ = self?.listeners.withLock { $0.removeValue(forKey: name) } }
        return stream
    }

    package func all() -> [Lab] { records.keys.compactMap(lab).sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) } }

    package func labs(of owner: String) -> [Lab] { all().filter { $0.owner == owner } }

    /// A lab that exists, or one that ended not long ago.
    package func find(_ id: String) async -> Lab? {
        if let lab = lab(id) { return lab }
        return await history.ended(id: id)
    }

    package func setCaps(_ caps: Caps) async {
        self.caps = caps
        await promote()
        for id in records.keys { publish(id) }
    }

    package func create(workshop: String, owner: String, address: String, isStaff: Bool) async throws(LabProblem) -> Lab {
        let now = clock.now()
        try takeToken(source: address, now: now, isStaff: isStaff)
        let spec = try await configuration.spec(workshop).fitted(to: caps)
        try rules.request(owner: owner, address: address, isStaff: isStaff, load: load)
        var id = Identifier.short()
        while records[id] != nil { id = Identifier.short() }
        let lifetime = Lifetime(
            createdAt: now, expiresAt: now.adding(seconds: Int64(spec.lifetimeMinutes ?? 120) * 60), extensionsUsed: 0, lastActiveAt: now)
        let mustWait = rules.canStart(load: load, memoryUsedBytes: memoryUsedBytes) != nil || load.contains { $0.isWaiting }
        let record = LabRecord(
            id: id, owner: owner, remoteAddress: address, isWaiting: mustWait, spec: spec, lifetime: lifetime, end: nil, isDeleting: false)
        records[id] = record
        making.insert(id)
        defer { making.remove(id) }
        do {
            _ = try await client.create(.namespaces, LabObjects(record: record).namespace)
            if !mustWait { try await makeObjects(record) }
        } catch {
            log.error("lab could not be created", metadata: ["lab": "\(id)", "cause": "\(error)"])
            await end(id, reason: "CreationFailed", message: "The lab could not be created.")
            throw .cluster(detail: "\(error)")
        }
        log.info("lab created", metadata: ["lab": "\(id)", "workshop": "\(workshop)", "owner": "\(owner)", "queued": "\(mustWait)"])
        publish(id)
        guard let lab = lab(id) else { throw .labNotFound(id: id) }
        return lab
    }

    package func extend(_ id: String, minutes: Int, isStaff: Bool) async throws(LabProblem) -> Lab {
        guard var record = records[id], !record.isDeleting else { throw .labNotFound(id: id) }
        record.lifetime = try record.lifetime.extended(minutes: minutes, isStaff: isStaff, caps: caps, now: clock.now())
        records[id] = record
        warnedUntil[id] = clock.now()
        try await write(record)
        publish(id)
        guard let lab = lab(id) else { throw .labNotFound(id: id) }
        return lab
    }

    /// Ends a lab and forgets its disks. Ending twice is no error.
    package func end(_ id: String, reason: String, message: String) async {
        guard var record = records[id] else { return }
        if record.end == nil {
            record.end = (reason, message)
            record.isDeleting = true
            records[id] = record
            publish(id)
            if let lab = lab(id) { await history.remember(lab, at: clock.now()) }
        }
        await finishEnd(record)
        await promote()
    }

    package func resetNode(_ id: String, node: String) async throws(LabProblem) {
        guard let record = records[id], !record.isDeleting else { throw .labNotFound(id: id) }
        guard (1...record.spec.nodes).contains(where: { LabObjects.nodeName($0) == node }) else {
            throw .nodeNotFound(lab: id, node: node)
        }
        guard pods[record.namespace]?[node] != nil else { return }
        do {
            try await client.delete(.pods, namespace: record.namespace, name: node)
        } catch {
            throw .cluster(detail: "\(error)")
        }
    }

    /// Somebody watches or types: the idle time begins anew.
    package func touch(_ id: String) async {
        let now = clock.now()
        guard var record = records[id], !record.isDeleting, now > record.lifetime.lastActiveAt else { return }
        record.lifetime.lastActiveAt = now
        records[id] = record
        guard now.since(activityWritten[id] ?? record.lifetime.createdAt) >= Self.activityWriteSeconds else { return }
        activityWritten[id] = now
        try? await write(record)
    }

    // MARK: - Kept in step

    /// Watches the cluster and turns the clock, until cancelled. On return all labs go on without this process.
    package func run() async throws {
        let namespaces = Informer(client: client, resource: .namespaces, labelSelector: LabKey.lab)
        let podInformer = Informer(client: client, resource: .pods, labelSelector: LabKey.lab)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await namespaces.run() }
            group.addTask { try await podInformer.run() }
            group.addTask {
                await namespaces.waitForSync()
                await podInformer.waitForSync()
                let (namespaceChanges, podChanges) = (namespaces.changes(), podInformer.changes())
                await self.adopt(namespaces: namespaces.items(), pods: podInformer.items())
                try await withThrowingTaskGroup(of: Void.self) { inner in
                    inner.addTask { for await change in namespaceChanges { await self.namespaceChanged(change) } }
                    inner.addTask { for await change in podChanges { await self.podChanged(change) } }
                    inner.addTask { try await self.turnClock() }
                    try await inner.waitForAll()
                }
            }
            try await group.waitForAll()
        }
    }

    /// Returns once all labs that an earlier process left are known.
    package func waitUntilAdopted() async {
        if isAdopted { return }
        await withCheckedContinuation { adoptionWaiters.append($0) }
    }

    private func adopt(namespaces: [JSON], pods listed: [JSON]) async {
        for pod in listed { note(pod: pod, isDeleted: false) }
        for namespace in namespaces { if let record = LabRecord(namespace: namespace) { records[record.id] = record } }
        log.info("labs adopted", metadata: ["count": "\(records.count)"])
        isAdopted = true
        for waiter in adoptionWaiters { waiter.resume() }
        adoptionWaiters = []
        for id in records.keys.sorted() { await settle(id) }
        await tick()
    }

    private func namespaceChanged(_ change: InformerChange) async {
        switch change {
        case .deleted(let object):
            guard let record = LabRecord(namespace: object) else { return }
            await gone(record)
        case .added(let object), .modified(let object):
            guard var record = LabRecord(namespace: object) else { return }
            if let known = records[record.id] {
                // What this process decided and has not written yet wins over what the watch brings.
                record.lifetime.lastActiveAt = max(record.lifetime.lastActiveAt, known.lifetime.lastActiveAt)
                record.end = record.end ?? known.end
                record.isDeleting = record.isDeleting || known.isDeleting
                record.isWaiting = record.isWaiting && known.isWaiting
            }
            records[record.id] = record
            publish(record.id)
            await settle(record.id)
        }
    }

    private func podChanged(_ change: InformerChange) async {
        let id: String?
        switch change {
        case .added(let pod), .modified(let pod): id = note(pod: pod, isDeleted: false)
        case .deleted(let pod): id = note(pod: pod, isDeleted: true)
        }
        guard let id else { return }
        publish(id)
        if case .deleted = change { await settle(id) }
    }

    @discardableResult
    private func note(pod: JSON, isDeleted: Bool) -> String? {
        let metadata = pod["metadata"] ?? .null
        guard let id = metadata["labels"]?[LabKey.lab]?.string, let name = metadata["name"]?.string,
            let namespace = metadata["namespace"]?.string, namespace == Lab.namespace(of: id)
        else { return nil }
        // Not `isDeleted ? nil : pod`: JSON can be written `nil` too, and a null pod is not a missing one.
        if isDeleted { pods[namespace]?.removeValue(forKey: name) } else { pods[namespace, default: [:]][name] = pod }
        return id
    }

    /// Finishes what is half done for a lab.
    private func settle(_ id: String) async {
        guard let record = records[id], !making.contains(id) else { return }
        if record.end != nil {
            await finishEnd(record)
        } else if !LabView(record: record, pods: pods[record.namespace] ?? [:]).missingNodes.isEmpty {
            making.insert(id)
            defer { making.remove(id) }
            do { try await makeObjects(record) } catch {
                log.error("lab could not be completed", metadata: ["lab": "\(id)", "cause": "\(error)"])
            }
        }
    }

    private func makeObjects(_ record: LabRecord) async throws {
        let objects = LabObjects(record: record)
        let present = pods[record.namespace] ?? [:]
        let client = client
        if present.isEmpty {
            // The kubelet reads the policies when it brings up the first Pod, so they come first.
            async let policy = client.createIfMissing(.networkPolicies, namespace: record.namespace, objects.networkPolicy)
            async let quota = client.createIfMissing(.resourceQuotas, namespace: record.namespace, objects.resourceQuota)
            _ = try await (policy, quota)
        }
        try await withThrowingTaskGroup(of: JSON?.self) { group in
            for index in 1...record.spec.nodes where present[LabObjects.nodeName(index)] == nil {
                group.addTask { try await client.createIfMissing(.pods, namespace: record.namespace, objects.pod(index)) }
            }
            // Noted at once: the watch may tell of them only after the next look for what is missing.
            for try await pod in group {
                if let pod, pods[record.namespace]?[pod.metaName] == nil { note(pod: pod, isDeleted: false) }
            }
        }
    }

    private func finishEnd(_ record: LabRecord) async {
        deletionAsked[record.id] = clock.now()
        do {
            try await write(record)
            try await client.delete(.namespaces, name: record.namespace)
        } catch let problem as any Problem where problem.reason == "NotFound" || problem.reason == "LabNotFound" {
            await gone(record)
        } catch {
            log.error("lab could not be ended yet", metadata: ["lab": "\(record.id)", "cause": "\(error)"])
        }
    }

    private func gone(_ record: LabRecord) async {
        guard records.removeValue(forKey: record.id) != nil else { return }
        pods[record.namespace] = nil
        warnedUntil[record.id] = nil
        deletionAsked[record.id] = nil
        activityWritten[record.id] = nil
        var lab = LabView(record: record, pods: [:]).lab(caps: caps)
        if let known = await history.ended(id: record.id) { lab = known }
        lab.state = .ended
        lab.endedAt = clock.now()
        for index in lab.nodes.indices { lab.nodes[index].state = .gone }
        await history.remember(lab, at: clock.now())
        published[record.id] = nil
        send(.changed(lab))
        log.info("lab gone", metadata: ["lab": "\(record.id)", "reason": "\(lab.reason)"])
        await promote()
    }

    // MARK: - Time and places

    private func turnClock() async throws {
        while true {
            try await Task.sleep(for: .seconds(1))
            await tick()
        }
    }

    /// Ends what must end, warns who must be warned, lets the next ones in.
    package func tick() async {
        let now = clock.now()
        memoryUsedBytes = await configuration.memoryUsedBytes()
        for (id, record) in records {
            if record.isDeleting {
                if record.end != nil, now.since(deletionAsked[id] ?? now) > Self.deletionRetrySeconds { await finishEnd(record) }
                continue
            }
            if let verdict = record.lifetime.verdict(now: now, caps: caps) {
                await end(id, reason: verdict.reason, message: verdict.message)
            } else if let minutes = record.lifetime.warning(after: warnedUntil[id] ?? now.adding(seconds: -1), upTo: now), let lab = lab(id)
            {
                send(.warning(lab: lab, minutesLeft: minutes))
            }
            warnedUntil[id] = now
            await settle(id)
        }
        await promote()
    }

    /// Gives free places to those who wait, first come first served.
    private func promote() async {
        for id in AdmissionRules.queue(load) {
            guard rules.canStart(load: load, memoryUsedBytes: memoryUsedBytes) == nil, var record = records[id] else { break }
            let now = clock.now()
            let life = record.lifetime.expiresAt.since(record.lifetime.createdAt)
            record.isWaiting = false
            // The time in the queue is not taken from the lab's life.
            record.lifetime.createdAt = now
            record.lifetime.expiresAt = now.adding(seconds: Int64(life))
            record.lifetime.lastActiveAt = now
            records[id] = record
            do { try await write(record) } catch {
                log.error("waiting lab could not be admitted", metadata: ["lab": "\(id)", "cause": "\(error)"])
            }
            await settle(id)
        }
        for id in AdmissionRules.queue(load) { publish(id) }
    }

    private func takeToken(source: String, now: Timestamp, isStaff: Bool) throws(LabProblem) {
        if isStaff { return }
        if buckets.count >= Self.bucketLimit { buckets = buckets.filter { !$0.value.isFull(now: now) } }
        if buckets.count >= Self.bucketLimit, buckets[source] == nil { throw .tooManyRequests(retrySeconds: 60) }
        if let seconds = buckets[source, default: RequestBucket(now: now)].take(now: now) { throw .tooManyRequests(retrySeconds: seconds) }
    }

    // MARK: - Written and told

    private func write(_ record: LabRecord) async throws(LabProblem) {
        do {
            _ = try await client.patch(
                .namespaces, name: record.namespace, .merge, ["metadata": ["annotations": JSON(record.annotations)]])
        } catch {
            if error.isNotFound { throw .labNotFound(id: record.id) }
            throw .cluster(detail: "\(error)")
        }
    }

    private func lab(_ id: String) -> Lab? {
        guard let record = records[id] else { return nil }
        var place: QueuePlace?
        if record.isWaiting, let index = AdmissionRules.queue(load).firstIndex(of: id) {
            let rule = rules.canStart(load: load, memoryUsedBytes: memoryUsedBytes) ?? .labsTotal
            place = QueuePlace(
                position: index + 1, estimateSeconds: AdmissionRules.estimateSeconds(position: index + 1, load: load, now: clock.now()),
                rule: rule.rawValue)
        }
        return LabView(record: record, pods: pods[record.namespace] ?? [:], place: place).lab(caps: caps)
    }

    private func publish(_ id: String) {
        guard let lab = lab(id), published[id] != lab else { return }
        published[id] = lab
        send(.changed(lab))
    }

    private func send(_ change: LabChange) { for listener in listeners.withLock({ Array($0.values) }) { listener.yield(change) } }
}

extension LabRecord {
    package var namespace: String { Lab.namespace(of: id) }
}

extension ClusterClient {
    /// Creates an object unless there is one of its name already.
    @discardableResult
    fileprivate func createIfMissing(_ resource: GroupVersionResource, namespace: String, _ object: JSON) async throws -> JSON? {
        do {
            return try await create(resource, namespace: namespace, object)
        } catch  where error.isAlreadyExists {
            return nil
        }
    }
}
