// The table of every key: name, kind, unit, and what it means. Defaults are those of `Configuration()`.
internal import Labs
internal import Web

extension Setting {
    /// All keys, in the order in which they are explained.
    package static let table: [Setting] = general + capRows + limitRows

    private static let general: [Setting] = [
        Setting(
            "listen", .address(\.listen), unit: "address",
            doc: "Where pages, terminals and links to ports are served. 0.0.0.0:8080 lets other machines in."),
        Setting(
            "publicURL", .url(\.publicURL), unit: "URL", absent: "from listen",
            doc: "The address that people type, when it differs from `listen`: behind a proxy, or with a name of its own."),
        Setting(
            "portsDomain", .domain(\.portsDomain), unit: "domain",
            doc: "Links to a node's ports are LAB-NODE-PORT.DOMAIN. `localhost` needs no DNS, but only works on this machine; for "
                + "others, a domain whose every subdomain leads here."),
        Setting(
            "tls.certificate", .optionalPath(\.tls.certificate), unit: "file", absent: "none",
            doc: "A PEM file with the certificate and its chain. With it, HTTPS is served; the file is read again on SIGHUP."),
        Setting("tls.key", .optionalPath(\.tls.key), unit: "file", absent: "none", doc: "The PEM file of the certificate's private key."),
        Setting(
            "state", .path(\.state), unit: "folder",
            doc: "All data of the server and of the labs. It needs a file system with overlay support, such as ext4 or xfs."),
        Setting(
            "workshops", .optionalPath(\.workshops), unit: "folder", absent: "Workshops beside the program's sources",
            doc: "The workshops to offer, one folder or Markdown file each. Changes are seen while the server runs."),
        Setting(
            "public", .optionalPath(\.publicFiles), unit: "folder", absent: "Public beside the program's sources",
            doc: "The page's own files."),
        Setting(
            "images", .optionalPath(\.images), unit: "folder", absent: "images in the state folder",
            doc: "The root file systems of nodes, as `lectern images build` makes them. Labs only read them."),
        Setting(
            "assets", .optionalPath(\.assets), unit: "folder", absent: "assets in the state folder",
            doc: "The page's files that come from Debian packages: xterm.js."),
        Setting(
            "kubernetes.listen", .address(\.kubernetesListen), unit: "address",
            doc: "Where the Kubernetes API of the labs is served to the admin, over TLS with client certificates."),
        Setting(
            "log.level", .choice(\.logLevel, ["trace", "debug", "info", "notice", "warning", "error", "critical"]), unit: "level",
            doc: "What is written to the log: this level and those to its right."),
    ]

    private static let capRows: [Setting] = Cap.allCases.map { cap in
        Setting("caps.\(cap.rawValue)", .cap(cap), unit: cap.row.unit, doc: cap.row.doc)
    }

    private static let limitRows: [Setting] = [
        limit("headBytes", \.headBytes, 1024...1 << 20, "bytes", "Largest head of a request. Beyond: 431."),
        limit("bodyBytes", \.bodyBytes, 1024...1 << 34, "bytes", "Largest body of a request. Beyond: 413."),
        limit("messageBytes", \.messageBytes, 1024...1 << 28, "bytes", "Largest WebSocket message. Beyond: closed with 1009."),
        limit("connections", \.connections, 16...1_000_000, "connections", "Connections at once. Beyond: closed unread."),
        limit(
            "connectionsPerAddress", \.connectionsPerAddress, 4...1_000_000, "connections",
            "Connections at once from one address; loopback is not counted. A class behind one router shares an address."),
        limit("idleSeconds", \.idleSeconds, 1...86_400, "seconds", "How long a kept-alive connection may wait for its next request."),
        limit("headSeconds", \.headSeconds, 1...600, "seconds", "From a new connection to its whole first head."),
        limit(
            "spliceIdleSeconds", \.spliceIdleSeconds, 5...86_400, "seconds",
            "How long a connection to a node's port may be silent in both directions."),
        limit("pingSeconds", \.pingSeconds, 5...3_600, "seconds", "Between pings of an idle WebSocket."),
        limit(
            "writeBufferBytes", \.writeBufferBytes, 4096...1 << 26, "bytes", "Of a response that wait to be sent; the writer pauses beyond."
        ),
        limit(
            "readBufferBytes", \.readBufferBytes, 4096...1 << 26, "bytes",
            "Of a request's body that wait to be read; reading pauses beyond."),
        limit(
            "socketBufferBytes", \.socketBufferBytes, 65_536...1 << 28, "bytes",
            "That wait to be sent on one WebSocket. Beyond: closed with 1008, as its reader is too slow."),
        limit(
            "lowWaterBytes", \.lowWaterBytes, 4096...1 << 26, "bytes", "A sender goes on when fewer than these wait on its socket."),
    ]

    private static func limit(
        _ name: String, _ path: WritableKeyPath<WebLimits, Int> & Sendable, _ range: ClosedRange<Int>, _ unit: String, _ doc: String
    ) -> Setting {
        Setting("limits.\(name)", .limit(path, range), unit: unit, doc: doc)
    }
}
