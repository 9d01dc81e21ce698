// The loop's side of the way to a store in another process: one connection's frames, and the writes that wait for answers.
internal import Essentials
internal import Logging
internal import Synchronization
internal import Web

@WebLoop
final class RemoteTraffic: RawConnectionHandler {
    private enum Phase {
        case apart
        /// Connected; the server has said nothing yet.
        case greeting
        /// All rows come.
        case loading
        /// The rows that were missed come.
        case resuming
        case current
    }

    private let ring: DocumentRing
    private let session = UInt64.random(in: 1...UInt64.max)
    private var identity = ""
    private var phase = Phase.apart
    /// What has come of a whole load.
    private var image = StoreImage()
    private var connection: RawConnection?
    private var reader = StoreFrameReader()
    private weak var store: ClusterStore?
    /// Writes without an answer, in the order in which they are sent and answered.
    private var open: [RemoteWrite] = []
    private var firstOpen = 0
    private var nextID: UInt64 = 1
    private var cause: String?
    private var wasCurrent = false
    private var ending: CheckedContinuation<Void, Never>?
    private var deadline: Task<Void, Never>?
    private let log = Logger(label: "etcd-client")

    nonisolated init(ring: DocumentRing) { self.ring = ring }

    // MARK: The connection

    /// Returns when the connection has ended.
    func connect(
        to server: String, _ configuration: RemoteStoreConfiguration, store: ClusterStore
    ) async -> (cause: String, wasCurrent: Bool) {
        self.store = store
        cause = nil
        wasCurrent = false
        reader = StoreFrameReader()
        guard let address = StoreAddress(server) else { return ("\(server) is not https://host:port", false) }
        var options = HTTPClientOptions()
        options.trustedCA = configuration.authority
        if let certificate = configuration.certificate, let key = configuration.key {
            options.certificate = CertificateFiles(certificate: certificate, key: key)
        }
        do throws(WebProblem) {
            connection = try await RawConnection.connect(
                host: address.host, port: address.port, tls: address.isSecure ? options : nil, handler: self)
        } catch {
            return (error.description, false)
        }
        if let cause { return (cause, false) }
        phase = .greeting
        let since = store.state.withLock { $0.image == nil ? -1 : $0.revision }
        var bytes = StoreProtocol.greeting
        StoreFrame.hello(session: session, since: since, identity: identity).encode(into: &bytes)
        connection?.send(bytes)
        deadline = Task {
            try? await Task.sleep(for: .seconds(RemoteLink.greetLimitSeconds))
            if !Task.isCancelled, case .greeting = self.phase { self.hangUp("it does not answer") }
        }
        await withCheckedContinuation { continuation in
            if cause == nil { ending = continuation } else { continuation.resume() }
        }
        deadline?.cancel()
        return (cause ?? "", wasCurrent)
    }

    func hangUp(_ why: String) {
        connection?.close()
        end(why)
    }

    func ended(_ connection: RawConnection) {
        connection.close()
        end("the other side closed it")
    }

    func closed(_ connection: RawConnection, error: String?) { end(error ?? "the other side closed it") }

    private func end(_ why: String) {
        connection = nil
        phase = .apart
        if cause == nil { cause = why }
        store?.state.withLock { state in if state.lostSince == nil { state.lostSince = monotonicSeconds() } }
        ending?.resume()
        ending = nil
    }

    // MARK: Writing

    /// Sends writes now, or when there is a connection that is current.
    func send(_ writes: [RemoteWrite]) {
        var bytes: [UInt8] = []
        for var write in writes {
            write.id = nextID
            nextID += 1
            if case .current = phase {
                write.isSent = true
                StoreFrame.write(write.wire).encode(into: &bytes)
            }
            open.append(write)
        }
        connection?.send(bytes)
    }

    private func sendAgain() {
        // What was given up is not started anew.
        open = open[firstOpen...].filter { $0.waiter != nil }
        firstOpen = 0
        var bytes: [UInt8] = []
        for index in open.indices {
            open[index].isSent = true
            StoreFrame.write(open[index].wire).encode(into: &bytes)
        }
        connection?.send(bytes)
    }

    /// Fails writes that began before `moment`.
    func expire(before moment: Double) {
        var isSilent = false
        for index in open.indices[firstOpen...] where open[index].begun < moment {
            guard let waiter = open[index].waiter else { continue }
            open[index].waiter = nil
            isSilent = isSilent || open[index].isSent
            waiter.resume(returning: .failure(.unreachable))
        }
        if isSilent, connection != nil { hangUp("it does not answer writes") }
    }

    private func takeOpen(_ id: UInt64) -> RemoteWrite? {
        guard firstOpen < open.count, open[firstOpen].id == id else { return nil }
        let write = open[firstOpen]
        open[firstOpen].waiter = nil
        firstOpen += 1
        if firstOpen == open.count {
            open.removeAll(keepingCapacity: true)
            firstOpen = 0
        } else if firstOpen > 1_024 {
            open.removeFirst(firstOpen)
            firstOpen = 0
        }
        return write
    }

    // MARK: Reading

    /// What a batch of frames does to the state that readers see.
    private enum Step {
        case row(RevisionRow)
        case own(StoreEvent)
        case compacted(Int64)
    }

    private struct Outcome {
        var steps: [Step] = []
        var answers: [(CheckedContinuation<Result<StoredObject, StoreProblem>, Never>, Result<StoredObject, StoreProblem>)] = []
    }

    func received(_ connection: RawConnection, _ bytes: [UInt8]) {
        reader.add(bytes)
        var outcome = Outcome()
        loop: while true {
            switch reader.next() {
            case .incomplete: break loop
            case .broken:
                publish(outcome)
                return hangUp("its words are not of this protocol")
            case .frame(let frame):
                guard take(frame, &outcome) else {
                    publish(outcome)
                    return hangUp("its words are out of order")
                }
            }
        }
        publish(outcome)
    }

    private func take(_ frame: StoreFrame, _ outcome: inout Outcome) -> Bool {
        switch (frame, phase) {
        case (.welcome(let compacted, _, let isWhole, let identity), .greeting):
            self.identity = identity
            image = StoreImage(historyStart: compacted)
            phase = isWhole ? .loading : .resuming
        case (.row(let row), .loading):
            let event = image.event(for: row, ring: ring)
            image.apply(event)
            answer(row, event.object, &outcome)
        case (.row(let row), .resuming), (.row(let row), .current):
            outcome.steps.append(.row(row))
            if case .resuming = phase {
                let object = StoredObject(key: row.key, revision: row.id, created: row.created, bytes: row.value)
                answer(row, object, &outcome)
            }
        case (.current(let revision), .loading):
            phase = .current
            replace(image, revision: revision)
            image = StoreImage()
            becomeCurrent()
        case (.current, .resuming):
            publish(outcome)
            outcome = Outcome()
            phase = .current
            becomeCurrent()
        case (.done(let id, let revision), .current):
            guard let write = takeOpen(id) else { return false }
            let event = write.event(revision: revision, ring: ring)
            outcome.steps.append(.own(event))
            if let waiter = write.waiter { outcome.answers.append((waiter, .success(event.object))) }
        case (.refused(let id, let why, let detail), .current):
            guard let write = takeOpen(id) else { return false }
            if let waiter = write.waiter { outcome.answers.append((waiter, .failure(Self.problem(why, write.key, detail)))) }
        case (.compacted(let revision), _): outcome.steps.append(.compacted(revision))
        default: return false
        }
        return true
    }

    /// A row that came after a lost connection may be a write of ours.
    private func answer(_ row: RevisionRow, _ object: StoredObject, _ outcome: inout Outcome) {
        guard let index = open.indices[firstOpen...].first(where: { open[$0].isSent && open[$0].isDone(as: row) }) else { return }
        let write = open.remove(at: index)
        if let waiter = write.waiter { outcome.answers.append((waiter, .success(object))) }
    }

    private static func problem(_ why: StoreProtocol.Refusal, _ key: String, _ detail: String) -> StoreProblem {
        switch why {
        case .exists: .exists(key: key)
        case .missing: .missing(key: key)
        case .changed: .changed(key: key)
        case .tooLarge: .tooLarge(limitBytes: ClusterStore.objectLimitBytes)
        case .full: .noSpace
        case .failed: .refused(detail: detail)
        }
    }

    private func publish(_ outcome: Outcome) {
        if !outcome.steps.isEmpty, let store {
            let ended = store.state.withLock { state in
                var ended: [Watcher] = []
                for step in outcome.steps {
                    switch step {
                    case .row(let row):
                        guard let event = state.image?.event(for: row, ring: ring) else { continue }
                        ended += state.publish([event])
                    case .own(let event): ended += state.publish([event])
                    case .compacted(let revision): state.image?.compact(through: revision)
                    }
                }
                state.compacted = max(state.compacted, state.image?.historyStart ?? 0)
                return ended
            }
            for watcher in ended { watcher.finish() }
        }
        for (waiter, result) in outcome.answers { waiter.resume(returning: result) }
    }

    /// Begins a new history: whoever watched the old one has to list again.
    private func replace(_ image: StoreImage, revision: Int64) {
        guard let store else { return }
        let (ended, ready) = store.state.withLock { state in
            let ended = Array(state.watchers.values)
            let ready = state.readyWaiters
            state.watchers = [:]
            state.readyWaiters = []
            state.image = image
            state.lostSince = nil
            state.revision = revision
            state.compacted = image.historyStart
            return (ended, ready)
        }
        for watcher in ended { watcher.finish() }
        for waiter in ready { waiter.resume() }
    }

    private func becomeCurrent() {
        wasCurrent = true
        log.info("the store is connected", metadata: ["revision": "\(store?.revision ?? 0)"])
        store?.state.withLock { $0.lostSince = nil }
        sendAgain()
    }
}

/// `https://host:port`, or `http://` for tests.
struct StoreAddress: Sendable, Equatable {
    var host: String
    var port: UInt16
    var isSecure: Bool

    init?(_ text: String) {
        var rest = text[...]
        if rest.hasPrefix("https://") {
            isSecure = true
            rest = rest.dropFirst(8)
        } else if rest.hasPrefix("http://") {
            isSecure = false
            rest = rest.dropFirst(7)
        } else {
            return nil
        }
        rest = rest.prefix { $0 != "/" }
        guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]) else { return nil }
        host = String(rest[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { return nil }
        self.port = port
    }
}
