// What probes and people ask the store's process by HTTP: health, version and figures for Prometheus.
internal import ClusterStore
internal import Essentials
internal import Web

/// Counted since the start.
struct StoreFigures: Sendable {
    /// The upper ends of the histogram of flushes, in seconds.
    static let bounds = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192]
    var rows = 0
    var commits = 0
    var commitSeconds = 0.0
    var within = Array(repeating: 0, count: bounds.count)
    /// The last write found no room.
    var isFull = false

    mutating func count(seconds: Double) {
        commits += 1
        commitSeconds += seconds
        if let index = Self.bounds.firstIndex(where: { seconds <= $0 }) { within[index] += 1 }
    }
}

@WebLoop
enum StoreProbe {
    /// The whole answer, or `nil` while the request is not all there.
    static func answer(_ request: [UInt8], _ server: StoreServer) -> [UInt8]? {
        let end = Array("\r\n\r\n".utf8)
        guard request.count >= end.count,
            request.indices.dropLast(end.count - 1).contains(where: { request[$0..<$0 + end.count].elementsEqual(end) })
        else { return nil }
        let line = String(decoding: request.prefix { $0 != 13 }, as: UTF8.self).split(separator: " ")
        guard line.count == 3, line[2].hasPrefix("HTTP/1.") else { return text("400 Bad Request", "not a request of HTTP\n") }
        guard line[0] == "GET" || line[0] == "HEAD" else { return text("405 Method Not Allowed", "only GET is answered\n") }
        let path = line[1].prefix { $0 != "?" }
        let query = line[1].dropFirst(path.count + 1)
        let isFull = server.figures.isFull && !query.contains("exclude=NOSPACE")
        switch path {
        case "/health":
            let body =
                isFull ? "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}" : "{\"health\":\"true\",\"reason\":\"\"}"
            return text(isFull ? "503 Service Unavailable" : "200 OK", body, type: "application/json")
        case "/livez", "/readyz": return text("200 OK", "ok\n")
        case "/version": return text("200 OK", "{\"etcdserver\":\"3.5.16\",\"etcdcluster\":\"3.5.0\"}", type: "application/json")
        case "/metrics": return text("200 OK", metrics(server), type: "text/plain; version=0.0.4; charset=utf-8")
        default: return text("404 Not Found", "404 page not found\n")
        }
    }

    private static func text(_ status: String, _ body: String, type: String = "text/plain; charset=utf-8") -> [UInt8] {
        Array(
            "HTTP/1.1 \(status)\r\ncontent-type: \(type)\r\ncontent-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n\(body)".utf8)
    }

    private static func metrics(_ server: StoreServer) -> String {
        let figures = server.figures
        var lines: [String] = []
        func metric(_ name: String, _ type: String, _ help: String, _ value: String) {
            lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(type)", "\(name) \(value)"]
        }
        metric("etcd_server_has_leader", "gauge", "Whether or not a leader exists. 1 is existence, 0 is not.", "1")
        metric("etcd_server_is_leader", "gauge", "Whether or not this member is a leader. 1 if is, 0 otherwise.", "1")
        metric("etcd_server_proposals_committed_total", "gauge", "Rows written since the start.", "\(figures.rows)")
        metric("etcd_debugging_mvcc_current_revision", "gauge", "The newest revision.", "\(server.newest)")
        metric("etcd_debugging_mvcc_compact_revision", "gauge", "History up to this revision is gone.", "\(server.compacted)")
        let size = (try? server.table.sizeBytes()) ?? (total: 0, used: 0)
        metric("etcd_mvcc_db_total_size_in_bytes", "gauge", "Size of the database file.", "\(size.total)")
        metric("etcd_mvcc_db_total_size_in_use_in_bytes", "gauge", "Size of the database's pages in use.", "\(size.used)")
        let name = "etcd_disk_wal_fsync_duration_seconds"
        lines += ["# HELP \(name) The time a commit takes until the disk has it.", "# TYPE \(name) histogram"]
        var below = 0
        for (bound, count) in zip(StoreFigures.bounds, figures.within) {
            below += count
            lines.append("\(name)_bucket{le=\"\(bound)\"} \(below)")
        }
        lines += [
            "\(name)_bucket{le=\"+Inf\"} \(figures.commits)", "\(name)_sum \(figures.commitSeconds)", "\(name)_count \(figures.commits)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
