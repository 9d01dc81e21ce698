// Follows a cluster and says what changed, a line of JSON at a time: what the lesson page's drawing lives on.
//
// Lines: `{"state":"waiting"|"connected"|"lost"}`; `{"kind":"pods","set":[…],
// "gone":[uid…]}` what there is or changed. Changes of a fifth of a second come together, so a busy cluster costs no more than a
// few lines. It runs only while somebody looks. May touch: its client. Caller: labkube.
package import ClusterClient
internal import ClusterModel
package import Essentials
internal import Synchronization

package final class ClusterFeed: Sendable {
    /// Changes are held back this long, so that those that come together go together.
    static let gatherMilliseconds = 200
    /// Events older than the newest so many are not shown at first.
    static let eventLimit = 60
    /// Objects of one kind that are drawn.
    static let objectLimit = 2000

    private struct Pending {
        var changed: [String: JSON] = [:]
        var order: [String] = []
        var gone: [String] = []
        var isEmpty: Bool { changed.isEmpty && gone.isEmpty }
    }

    private let client: ClusterClient
    private let clock: any WallClock
    private let write: @Sendable (String) -> Void
    private let flushing = Mutex<Task<Void, Never>?>(nil)
    private let pending = Mutex<(changes: [DigestKind: Pending], isFlushing: Bool)>(([:], false))

    package init(client: ClusterClient, clock: any WallClock = SystemClock(), write: @escaping @Sendable (String) -> Void) {
        self.client = client
        self.clock = clock
        self.write = write
    }

    /// Works until cancelled.
    package func run() async {
        defer { flushing.withLock { $0?.cancel() } }
        await withDiscardingTaskGroup { group in
            for kind in DigestKind.allCases {
                for resource in kind.resources { group.addTask { await self.follow(resource, as: kind) } }
            }
        }
    }

    private func follow(_ resource: GroupVersionResource, as kind: DigestKind) async {
        var known: Set<String> = []
        var pause = 200
        while !Task.isCancelled {
            do {
                let list = try await client.list(resource, options: ListOptions(resourceVersion: "0"))
                pause = 200
                tell(state: "connected", resource)
                var items = list.items
                if kind == .events {
                    items = Array(items.sorted { Self.time($0) < Self.time($1) }.suffix(Self.eventLimit))
                }
                let now = clock.now()
                let digests = items.prefix(Self.objectLimit).compactMap { ClusterDigest.make($0, resource, at: now) }
                let uids = Set(digests.compactMap { $0["uid"]?.string })
                for uid in known.subtracting(uids) { note(kind, gone: uid) }
                for digest in digests { note(kind, digest) }
                known = uids
                flushSoon()
                var options = ListOptions()
                options.resourceVersion = list.resourceVersion
                for try await event in client.watch(resource, options: options) {
                    switch event.kind {
                    case .bookmark: continue
                    case .deleted: forget(event.object.metaUID, kind, &known)
                    case .added, .modified:
                        guard let digest = ClusterDigest.make(event.object, resource, at: clock.now()) else {
                            forget(event.object.metaUID, kind, &known)
                            continue
                        }
                        guard known.count < Self.objectLimit || known.contains(event.object.metaUID) else { continue }
                        known.insert(event.object.metaUID)
                        note(kind, digest)
                    }
                    flushSoon()
                }
            } catch {
                if (error as? ClusterProblem)?.isExpired ?? false { continue }
                tell(state: "lost", resource)
                try? await Task.sleep(for: .milliseconds(pause))
                pause = min(pause * 2, 5000)
            }
        }
    }

    private static func time(_ event: JSON) -> String {
        event["lastTimestamp"]?.string ?? event["eventTime"]?.string ?? event["metadata"]?["creationTimestamp"]?.string ?? ""
    }

    /// One resource speaks for all of them.
    private func tell(state: String, _ resource: GroupVersionResource) {
        if resource == .nodes { write((["state": JSON(state)] as JSON).text) }
    }

    private func forget(_ uid: String, _ kind: DigestKind, _ known: inout Set<String>) {
        if known.remove(uid) != nil { note(kind, gone: uid) }
    }

    private func note(_ kind: DigestKind, _ digest: JSON) {
        let uid = digest["uid"]?.string ?? ""
        pending.withLock { pending in
            if pending.changes[kind, default: Pending()].changed.updateValue(digest, forKey: uid) == nil {
                pending.changes[kind]?.order.append(uid)
            }
            pending.changes[kind]?.gone.removeAll { $0 == uid }
        }
    }

    private func note(_ kind: DigestKind, gone uid: String) {
        pending.withLock { pending in
            if pending.changes[kind, default: Pending()].changed.removeValue(forKey: uid) != nil {
                pending.changes[kind]?.order.removeAll { $0 == uid }
            }
            pending.changes[kind]?.gone.append(uid)
        }
    }

    private func flushSoon() {
        let starts = pending.withLock { pending in
            guard !pending.isFlushing else { return false }
            pending.isFlushing = true
            return true
        }
        guard starts else { return }
        let task = Task {
            try? await Task.sleep(for: .milliseconds(Self.gatherMilliseconds))
            flush()
        }
        flushing.withLock { $0 = task }
    }

    private func flush() {
        let changes = pending.withLock { pending in
            defer { pending = ([:], false) }
            return pending.changes
        }
        for kind in DigestKind.allCases {
            guard let change = changes[kind], !change.isEmpty else { continue }
            let line: JSON = [
                "kind": JSON(kind.rawValue), "set": .array(change.order.compactMap { change.changed[$0] }), "gone": JSON(change.gone),
            ]
            write(line.text)
        }
    }
}
