// The TLS side of a server: a libwebsockets vhost and an OpenSSL context of our own (for splices) per certificate.
internal import CLibwebsockets
internal import COpenSSL
internal import Essentials
internal import Glibc

@WebLoop
final class ServerCertificates {
    private struct Entry {
        var host: OpaquePointer
        /// libwebsockets' own context of that vhost.
        var hostContext: OpaquePointer
        var spliceContext: TLSContext
    }

    private static var serial = 0
    private let standard: Entry
    private var byName: [(pattern: String, entry: Entry)] = []

    init(_ files: TLSFiles, alpn: String) throws(WebProblem) {
        standard = try Self.make(CertificateFiles(certificate: files.certificate, key: files.key), clientCA: files.clientCA, alpn: alpn)
        for (pattern, pair) in files.byName {
            byName.append((pattern.lowercased(), try Self.make(pair, clientCA: files.clientCA, alpn: alpn)))
        }
    }

    private static func make(_ files: CertificateFiles, clientCA: String?, alpn: String) throws(WebProblem) -> Entry {
        // Checked with a context of our own first: libwebsockets only says "no".
        let own = try TLSContext(serving: files)
        serial += 1
        let engine = LoopEngine.shared
        engine.newTLSContext = nil
        let host = engine.protocols.makeHost(
            engine.context, name: "\u{1}tls\(serial)", options: 0,
            tls: TLSHostFiles(certificate: files.certificate, key: files.key, alpn: alpn))
        guard let host, let context = engine.newTLSContext else {
            if let host { lws_vhost_destroy(host) }
            throw .badCertificate(file: files.certificate, cause: "libwebsockets refuses it")
        }
        // The name has chosen the vhost already; libwebsockets' own choice may fall on another server's vhost.
        SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, nil)
        if let clientCA { try TLSContext.acceptClients(context, clientCA) }
        return Entry(host: host, hostContext: context, spliceContext: own)
    }

    /// The vhost whose certificate fits the server name.
    func host(for name: String) -> OpaquePointer { entry(for: name).host }
    func spliceContext(for name: String) -> TLSContext { entry(for: name).spliceContext }

    private func entry(for name: String) -> Entry {
        if let exact = byName.first(where: { $0.pattern == name }) { return exact.entry }
        if let dot = name.firstIndex(of: ".") {
            let wildcard = "*" + name[dot...]
            if let match = byName.first(where: { $0.pattern == wildcard }) { return match.entry }
        }
        return standard
    }

    /// Loads the files again into the same contexts; a connection in progress keeps what it has. All or nothing.
    func reload(_ files: TLSFiles) throws(WebProblem) {
        var pairs = [(standard, CertificateFiles(certificate: files.certificate, key: files.key))]
        for (pattern, entry) in byName {
            if let pair = files.byName.first(where: { $0.key.lowercased() == pattern })?.value { pairs.append((entry, pair)) }
        }
        for (_, pair) in pairs { _ = try TLSContext(serving: pair) }
        for (entry, pair) in pairs {
            try TLSContext.load(entry.hostContext, pair)
            try TLSContext.load(entry.spliceContext.pointer, pair)
            if let clientCA = files.clientCA { try TLSContext.acceptClients(entry.hostContext, clientCA) }
        }
    }

    func close() {
        for entry in [standard] + byName.map(\.entry) { lws_vhost_destroy(entry.host) }
    }
}
