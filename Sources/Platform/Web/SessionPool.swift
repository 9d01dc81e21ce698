// The connections of an `HTTPSession`: those in use, those that are idle, and the requests that wait for one.
internal import Essentials
internal import Glibc

@WebLoop
final class SessionPool: TickSource {
    nonisolated let authority: String
    nonisolated let limits: HTTPSessionLimits
    private var idle: [SessionConnection] = []
    private var busy: [ObjectIdentifier: SessionConnection] = [:]
    private var waiting: [SessionExchange] = []
    private var requests = 0
    private var ticks = false
    private var isClosed = false

    nonisolated init(authority: String, limits: HTTPSessionLimits) {
        self.authority = authority
        self.limits = limits
    }

    func begin(_ exchange: SessionExchange) {
        guard !isClosed else { return exchange.fail(.peerGone) }
        exchange.deadline = monotonicSeconds() + limits.timeoutSeconds
        if !ticks {
            ticks = true
            LoopEngine.shared.poller.addTicker(self)
        }
        if !exchange.request.streams {
            guard requests < limits.requests else {
                exchange.whenOver = { [weak self, weak exchange] in self?.waiting.removeAll { $0 === exchange } }
                return waiting.append(exchange)
            }
            requests += 1
        }
        run(exchange)
    }

    private func run(_ exchange: SessionExchange) {
        let now = monotonicSeconds()
        while let connection = idle.popLast() {
            guard connection.isOpen, now - connection.idleSince < limits.idleSeconds else {
                connection.close()
                continue
            }
            return use(connection, exchange, isFresh: false)
        }
        do throws(WebProblem) {
            use(try SessionConnection(pool: self, way: exchange.way), exchange, isFresh: true)
        } catch {
            over(exchange)
            exchange.fail(error)
        }
    }

    private func use(_ connection: SessionConnection, _ exchange: SessionExchange, isFresh: Bool) {
        busy[ObjectIdentifier(connection)] = connection
        connection.run(exchange, isFresh: isFresh)
    }

    /// A request is over, well or not; the next may begin.
    private func over(_ exchange: SessionExchange) {
        guard !exchange.request.streams else { return }
        requests -= 1
        while requests < limits.requests, !waiting.isEmpty {
            requests += 1
            let next = waiting.removeFirst()
            next.whenOver = nil
            run(next)
        }
    }

    /// The connection has done its exchange.
    func done(_ connection: SessionConnection, _ exchange: SessionExchange, isReusable: Bool) {
        busy[ObjectIdentifier(connection)] = nil
        if isReusable, !isClosed, idle.count < limits.idleConnections {
            connection.idleSince = monotonicSeconds()
            idle.append(connection)
        } else {
            connection.close()
        }
        over(exchange)
    }

    /// A kept connection turned out to be closed before it could answer: once more, on a new one.
    func again(_ connection: SessionConnection, _ exchange: SessionExchange) {
        busy[ObjectIdentifier(connection)] = nil
        closeIdle()
        run(exchange)
    }

    func lost(idle connection: SessionConnection) { idle.removeAll { $0 === connection } }

    func closeIdle() {
        for connection in idle { connection.close() }
        idle = []
    }

    func close() {
        isClosed = true
        closeIdle()
        for connection in Array(busy.values) { connection.abandon(.peerGone) }
        for exchange in waiting { exchange.fail(.peerGone) }
        waiting = []
        if ticks { LoopEngine.shared.poller.removeTicker(self) }
        ticks = false
    }

    /// Ticks only while an answer is awaited.
    func tick(now: Double) {
        for connection in Array(busy.values) { connection.tick(now: now) }
        for exchange in waiting where now > exchange.deadline { exchange.fail(.timedOut(seconds: limits.timeoutSeconds)) }
        if !busy.values.contains(where: \.awaitsAnswer), waiting.isEmpty {
            ticks = false
            LoopEngine.shared.poller.removeTicker(self)
        }
    }
}
