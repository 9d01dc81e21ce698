// watch: the changes that a selection sees, as lines of bytes or as documents.
internal import ClusterModel
internal import ClusterStore
internal import Essentials
internal import Synchronization

extension APIServer {
    func watch(_ request: APIRequest, _ target: ResourceTarget) throws(ClusterProblem) -> APIResponse {
        let selection = try Selection(request, target.kind)
        let filter = WatchFilter(selection: selection, name: target.name, prefix: selection.prefix(of: target))
        let start = try self.start(request, target, filter)
        let seconds = try Self.timeout(request)
        let wantsBookmarks = request.queryValue("allowWatchBookmarks") == "true"
        let kind = target.kind
        do throws(StoreProblem) {
            if request.wantsObjects {
                typealias Item = Result<WatchEvent, ClusterProblem>
                let watch: StoreWatch<Item> = try store.watch(
                    prefix: filter.prefix, after: start.after, initial: start.initial.map { Item.success(Self.shown($0.event, kind)) },
                    failure: { Item.failure(ClusterProblem($0, target.resource, "")) },
                    transform: { change in
                        filter.event(change).map { Item.success(Self.shown($0.event, kind)) }
                    })
                Self.keepTime(watch.control, seconds: seconds, bookmarks: wantsBookmarks) { Item.success(Self.bookmark(kind, $0)) }
                return APIResponse(status: 200, headers: Self.jsonHeaders, body: .events(watch.events))
            }
            let lines = WatchLines(kind: kind, rendering: start.rendering, clock: clock)
            let backlog = WatchBacklog(beginning: start.initial.reduce(0) { $0 + $1.bytes })
            let watch: StoreWatch<WatchItem> = try store.watch(
                prefix: filter.prefix, after: start.after, initial: start.initial,
                failure: { .problem(ClusterProblem($0, target.resource, "")) }, admits: backlog.admits,
                transform: filter.event)
            Self.keepTime(watch.control, seconds: seconds, bookmarks: wantsBookmarks) { .made(Self.bookmark(kind, $0)) }
            // Lines are written as they are taken: what waits for a slow reader is the objects, which all watches share.
            let items = watch.events
            let chunks = AsyncStream<[UInt8]> {
                var iterator = items.makeAsyncIterator()
                guard let item = await iterator.next() else { return nil }
                backlog.taken(item)
                return lines.line(item)
            }
            return APIResponse(status: 200, headers: Self.jsonHeaders, body: .stream(chunks))
        } catch {
            throw ClusterProblem(error, target.resource, "")
        }
    }

    private static func shown(_ event: WatchEvent, _ kind: Kind) -> WatchEvent {
        event.kind == .bookmark ? event : WatchEvent(kind: event.kind, object: kind.shown(event.object))
    }

    private struct Start {
        var after: Int64
        var initial: [WatchItem]
        var rendering: Rendering
    }

    /// From where to watch, and what to send first.
    private func start(_ request: APIRequest, _ target: ResourceTarget, _ filter: WatchFilter) throws(ClusterProblem) -> Start {
        let rendering = try Rendering(request)
        let version = try ListPage.revision(request)
        let sendsInitial = request.queryValue("sendInitialEvents") == "true"
        if sendsInitial, request.queryValue("resourceVersionMatch") != "NotOlderThan" {
            throw .badRequest("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        }
        if let version, version > 0, !sendsInitial { return Start(after: version, initial: [], rendering: rendering) }
        do throws(StoreProblem) {
            let list = try store.list(prefix: filter.prefix)
            var initial = list.objects.filter { filter.matches($0) }.map { WatchItem.stored(.added, $0) }
            if sendsInitial {
                var mark = Self.bookmark(target.kind, list.revision)
                mark.object[path: ["metadata", "annotations", "k8s.io/initial-events-end"]] = "true"
                initial.append(.made(mark))
            }
            return Start(after: list.revision, initial: initial, rendering: rendering)
        } catch {
            throw ClusterProblem(error, target.resource, "")
        }
    }

    /// `nil` where the watch is to last as long as its reader: callers inside the process, who name no timeout.
    private static func timeout(_ request: APIRequest) throws(ClusterProblem) -> Int? {
        if let text = request.queryValue("timeoutSeconds"), !text.isEmpty {
            guard let seconds = Int(text), seconds >= 0 else { throw .badRequest("timeoutSeconds is not valid: \(text)") }
            if seconds > 0 { return min(seconds, 24 * 3600) }
        }
        return request.wantsObjects ? nil : Int.random(in: watchSeconds..<watchSeconds * 2)
    }

    static func bookmark(_ kind: Kind, _ revision: Int64) -> WatchEvent {
        WatchEvent(
            kind: .bookmark,
            object: [
                "kind": JSON(kind.name), "apiVersion": JSON(kind.apiVersion),
                "metadata": ["resourceVersion": JSON(String(revision)), "creationTimestamp": .null],
            ])
    }

    /// Sends bookmarks and ends the watch when its time is over. The task ends with the watch.
    static func keepTime<Element: Sendable>(
        _ watch: WatchControl<Element>, seconds: Int?, bookmarks: Bool, _ mark: @escaping @Sendable (Int64) -> Element
    ) {
        guard bookmarks || seconds != nil else { return }
        let keeper = Task {
            var left = seconds ?? .max
            while left > 0 {
                let step = bookmarks ? min(left, bookmarkSeconds) : left
                do { try await Task.sleep(for: .seconds(step)) } catch { return }
                left -= step
                if bookmarks, left > 0 { watch.mark(mark) }
            }
            if bookmarks { watch.mark(mark) }
            watch.finish()
        }
        watch.whenEnded { keeper.cancel() }
    }
}

/// Decides what a change means to a selection: an object that comes to match is added, one that no longer does is deleted.
struct WatchFilter: Sendable {
    let selection: Selection
    let name: String?
    let prefix: String

    func matches(_ object: StoredObject) -> Bool {
        if let name, object.document.metaName != name { return false }
        return selection.isEmpty || selection.matches(object.document)
    }

    func event(_ event: StoreEvent) -> WatchItem? {
        if selection.isEmpty {
            guard matches(event.object) else { return nil }
            let kind: WatchEvent.Kind =
                switch event.kind {
                case .created: .added
                case .modified: .modified
                case .deleted: .deleted
                }
            return .stored(kind, event.object)
        }
        let before = event.previous.map(matches) ?? (event.kind != .created)
        let after = event.kind != .deleted && matches(event.object)
        switch (before, after) {
        case (false, false): return nil
        case (false, true): return .stored(.added, event.object)
        case (true, true): return .stored(.modified, event.object)
        case (true, false):
            if event.kind == .deleted { return .stored(.deleted, event.object) }
            var last = event.previous?.document ?? event.object.document
            last["metadata"]?["resourceVersion"] = JSON(String(event.object.revision))
            return .made(WatchEvent(kind: .deleted, object: last))
        }
    }
}

/// What waits to be written as a line.
enum WatchItem: Sendable {
    /// An object as it lies in the store; it is not parsed for those who take it as it is.
    case stored(WatchEvent.Kind, StoredObject)
    case made(WatchEvent)
    case problem(ClusterProblem)

    var event: WatchEvent {
        switch self {
        case .stored(let kind, let object): WatchEvent(kind: kind, object: object.document)
        case .made(let event): event
        case .problem(let problem): WatchEvent(kind: .deleted, object: problem.status)
        }
    }

    /// The bytes that waiting costs, as far as they are worth counting.
    var bytes: Int { if case .stored(_, let object) = self { object.bytes.count } else { 0 } }
}

/// The bytes of the events that a reader has not taken; of many large objects fewer may wait.
final class WatchBacklog: Sendable {
    static let limitBytes = 8 << 20
    private let limit: Int
    private let waiting: Atomic<Int>

    /// What the watch begins with may wait beside the limit.
    init(beginning: Int) {
        waiting = Atomic(beginning)
        limit = beginning + Self.limitBytes
    }

    /// Takes the item into account, and tells whether it may wait.
    @Sendable func admits(_ item: WatchItem) -> Bool {
        waiting.wrappingAdd(item.bytes, ordering: .relaxed).newValue <= limit
    }

    func taken(_ item: WatchItem) { waiting.wrappingSubtract(item.bytes, ordering: .relaxed) }
}

/// Writes events as lines. Only the first table of a watch has column definitions.
final class WatchLines: Sendable {
    private let kind: Kind
    private let rendering: Rendering
    private let clock: any WallClock
    private let hasColumns = Mutex(false)

    init(kind: Kind, rendering: Rendering, clock: any WallClock) {
        self.kind = kind
        self.rendering = rendering
        self.clock = clock
    }

    func line(_ item: WatchItem) -> [UInt8] {
        switch item {
        case .stored(let type, let object):
            if case .object = rendering, kind.conversion == nil { return line(type.rawValue, object.bytes) }
            return line(item.event)
        case .made(let event): return line(event)
        case .problem(let problem): return line("ERROR", problem.status.bytes)
        }
    }

    private func line(_ event: WatchEvent) -> [UInt8] {
        if event.kind == .bookmark, case .metadata = rendering {
            return line(event.kind.rawValue, rendering.apply(event.object, kind, at: clock.now()).bytes)
        }
        if event.kind == .bookmark, case .table = rendering {
            let empty: JSON = [
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": ["resourceVersion": JSON(event.object.metaResourceVersion)],
                "columnDefinitions": [], "rows": [["cells": [], "object": event.object]],
            ]
            return line(event.kind.rawValue, empty.bytes)
        }
        guard event.kind != .bookmark, case .table = rendering else {
            let document = event.kind == .bookmark ? event.object : rendering.apply(event.object, kind, at: clock.now())
            return line(event.kind.rawValue, document.bytes)
        }
        let isFirst = hasColumns.withLock { seen in
            defer { seen = true }
            return !seen
        }
        return line(event.kind.rawValue, rendering.apply(event.object, kind, at: clock.now(), withColumns: isFirst).bytes)
    }

    private func line(_ type: String, _ object: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(object.count + 40)
        bytes.append(contentsOf: "{\"type\":\"\(type)\",\"object\":".utf8)
        bytes.append(contentsOf: object)
        bytes.append(contentsOf: "}\n".utf8)
        return bytes
    }
}
