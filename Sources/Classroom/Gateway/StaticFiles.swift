// Files under one folder, held in memory with their hash, for pages that load fast and are asked for only once.
internal import Compression
internal import Crypto
internal import Glibc
internal import Synchronization
package import Web

package final class StaticFiles: Sendable {
    /// Larger files are not served.
    package static let cachedFileLimitBytes = 2 << 20
    /// What is held in all; past it everything is read anew.
    package static let cacheLimitBytes = 32 << 20

    private struct Entry {
        var bytes: [UInt8]
        /// Compressed, where that saves something.
        var gzip: [UInt8]?
        var tag: String
        var modified: Int
    }

    private let directory: String
    private let cache = Mutex<[String: Entry]>([:])

    package init(directory: String) { self.directory = directory }

    /// The text of a file, such as a page's shell; `nil` where there is none.
    package func text(_ name: String) -> String? { entry(name).map { String(decoding: $0.bytes, as: UTF8.self) } }

    /// Answers a request for a file; `nil` where there is none. `segments` are decoded and hold no dots that climb.
    package func response(_ segments: [String], for request: HTTPRequest) -> HTTPResponse? {
        guard !segments.isEmpty, segments.allSatisfy({ !$0.hasPrefix(".") }) else { return nil }
        let name = segments.joined(separator: "/")
        guard let type = Self.type(of: name), let entry = entry(name) else { return nil }
        let gzip = Self.takesGzip(request) ? entry.gzip : nil
        // Each form has a tag of its own, since a cache must not mend one with the other.
        let tag = gzip == nil ? "\"\(entry.tag)\"" : "\"\(entry.tag)-gzip\""
        var response = HTTPResponse(
            headers: ["content-type": type, "cache-control": "no-cache", "etag": tag, "vary": "accept-encoding"])
        if request.headers["if-none-match"] == tag {
            response.status = 304
            return response
        }
        if gzip != nil { response.headers["content-encoding"] = "gzip" }
        response.body = .bytes(gzip ?? entry.bytes)
        return response
    }

    /// Whether the browser names gzip without refusing it (`q=0`).
    private static func takesGzip(_ request: HTTPRequest) -> Bool {
        (request.headers["accept-encoding"] ?? "").split(separator: ",").contains { coding in
            let parts = coding.filter { $0 != " " }.lowercased().split(separator: ";")
            return parts.first == "gzip" && !parts.dropFirst().contains { $0.hasPrefix("q=0") && Double($0.dropFirst(2)) == 0 }
        }
    }

    private func entry(_ name: String) -> Entry? {
        let path = directory + "/" + name
        var information = stat()
        guard stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFREG, information.st_size <= Self.cachedFileLimitBytes
        else {
            return nil
        }
        let modified = Int(information.st_mtim.tv_sec) * 1_000_000_000 + Int(information.st_mtim.tv_nsec)
        if let held = cache.withLock({ $0[name] }), held.modified == modified { return held }
        guard let bytes = readFile(path) else { return nil }
        let gzip = Gzip.compress(bytes)
        let entry = Entry(
            bytes: bytes, gzip: gzip.count < bytes.count * 9 / 10 ? gzip : nil, tag: String(Hex.encode(Hash.sha256(bytes)).prefix(24)),
            modified: modified)
        cache.withLock { cache in
            if cache.values.reduce(0, { $0 + $1.bytes.count }) + bytes.count > Self.cacheLimitBytes { cache.removeAll() }
            cache[name] = entry
        }
        return entry
    }

    private static func type(of name: String) -> String? {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "js", "mjs": "text/javascript; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "svg": "image/svg+xml"
        case "png": "image/png"
        case "jpg", "jpeg": "image/jpeg"
        case "gif": "image/gif"
        case "webp": "image/webp"
        case "ico": "image/x-icon"
        case "json", "map": "application/json"
        case "webmanifest": "application/manifest+json"
        case "woff2": "font/woff2"
        case "txt": "text/plain; charset=utf-8"
        default: nil
        }
    }
}

/// The whole of a regular file; `nil` where it cannot be read.
func readFile(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var result: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return ferror(file) == 0 ? result : nil }
        result.append(contentsOf: chunk[..<count])
    }
}
