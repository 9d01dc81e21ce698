// The C side of libwebsockets: its protocol tables and the callbacks, which only find the Swift object and hand over.
//
// A `wsi` (libwebsockets' connection or HTTP/2 stream) is known to us by its address, from the first callback that needs
// an object until LWS_CALLBACK_WSI_DESTROY. libwebsockets re-binds a connection to the first vhost of the same port when
// the Host field is read, so vhosts only differ in TLS and framing; whatever a server decides hangs on the ticket.
internal import CLibwebsockets
internal import Glibc

/// The two protocols libwebsockets chooses from: ours without a name, and the one subprotocol a handler has just chosen.
///
/// libwebsockets negotiates a subprotocol against a fixed table. The table's last entry has a name we can rewrite: it is
/// set to the handler's choice right before the upgrade is answered, in the same callback.
@WebLoop
final class ProtocolTable {
    nonisolated static let nameBytes = 128
    nonisolated static let fileProtocol = "lectern-file"
    private let table: UnsafeMutablePointer<lws_protocols>
    private let chosenName: UnsafeMutablePointer<CChar>

    init() {
        chosenName = .allocate(capacity: Self.nameBytes)
        chosenName.initialize(repeating: 0, count: Self.nameBytes)
        table = .allocate(capacity: 4)
        table.initialize(repeating: lws_protocols(), count: 4)
        for (index, name) in ["http", Self.fileProtocol].enumerated() {
            table[index].name = UnsafePointer(strdup(name))
        }
        table[2].name = UnsafePointer(chosenName)
        for index in 0..<3 {
            if index == 1 { table[index].callback = fileCallback } else { table[index].callback = httpCallback }
            table[index].rx_buffer_size = 4096
        }
        choose(nil)
    }

    /// Makes `name` the only subprotocol that the upgrade in progress can end with.
    func choose(_ name: String?) {
        let bytes = Array((name ?? "\u{1}none").utf8.prefix(Self.nameBytes - 1))
        for (index, byte) in bytes.enumerated() { chosenName[index] = CChar(bitPattern: byte) }
        chosenName[bytes.count] = 0
    }

    func makeHost(_ context: OpaquePointer, name: String, priorKnowledge: Bool) -> OpaquePointer {
        guard let host = makeHost(context, name: name, options: priorKnowledge ? UInt64(LWS_SERVER_OPTION_H2_PRIOR_KNOWLEDGE) : 0, tls: nil)
        else {
            fatalError("libwebsockets refuses a plain vhost")
        }
        return host
    }

    func makeHost(_ context: OpaquePointer, name: String, options: UInt64, tls: TLSHostFiles?) -> OpaquePointer? {
        var info = lws_context_creation_info()
        info.port = CONTEXT_PORT_NO_LISTEN_SERVER
        info.protocols = UnsafePointer(table)
        info.options = options
        // Time limits are ours (ConnectionTicket); libwebsockets' own stay out of the way.
        info.keepalive_timeout = 3600
        let vhostName = strdup(name)
        defer { free(vhostName) }
        info.vhost_name = UnsafePointer(vhostName)
        guard let tls else { return lws_create_vhost(context, &info) }
        info.options |= UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT) | UInt64(LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX)
        let strings = [tls.certificate, tls.key].map { (text: String) in strdup(text) }
        defer { strings.forEach { free($0) } }
        info.ssl_cert_filepath = UnsafePointer(strings[0])
        info.ssl_private_key_filepath = UnsafePointer(strings[1])
        // libwebsockets keeps the pointer of the ALPN list.
        info.alpn = UnsafePointer(strdup(tls.alpn))
        return lws_create_vhost(context, &info)
    }
}

struct TLSHostFiles {
    var certificate: String
    var key: String
    var alpn: String
}

/// The wake eventfd and the epoll set.
private func fileCallback(
    _ wsi: OpaquePointer?, _ reason: lws_callback_reasons, _ user: UnsafeMutableRawPointer?, _ input: UnsafeMutableRawPointer?,
    _ length: Int
) -> Int32 {
    guard reason == LWS_CALLBACK_RAW_RX_FILE, let wsi else { return 0 }
    let descriptor = lws_get_socket_fd(wsi)
    WebLoop.assumeIsolated { LoopEngine.shared.fileReadable(descriptor) }
    return 0
}

/// HTTP connections, HTTP/2 streams and WebSockets.
private func httpCallback(
    _ wsi: OpaquePointer?, _ reason: lws_callback_reasons, _ user: UnsafeMutableRawPointer?, _ input: UnsafeMutableRawPointer?,
    _ length: Int
) -> Int32 {
    let call = Call(wsi: wsi, reason: reason, user: user, input: input, length: length)
    return WebLoop.assumeIsolated { LoopEngine.shared.handle(call) }
}

/// What a callback was given.
private struct Call: @unchecked Sendable {
    // Guard: made and used on the loop's thread, within one callback.
    let wsi: OpaquePointer?
    let reason: lws_callback_reasons
    let user: UnsafeMutableRawPointer?
    let input: UnsafeMutableRawPointer?
    let length: Int
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: input, count: input == nil ? 0 : length) }
}

extension LoopEngine {
    fileprivate func handle(_ call: Call) -> Int32 {
        if call.reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS {
            newTLSContext = call.user.map { OpaquePointer($0) }
            return 0
        }
        guard let wsi = call.wsi else { return 0 }
        switch call.reason {
        case LWS_CALLBACK_HTTP: return beginExchange(wsi)
        case LWS_CALLBACK_HTTP_BODY: return exchanges[wsi]?.receivedBody(call.bytes) ?? -1
        case LWS_CALLBACK_HTTP_BODY_COMPLETION: return exchanges[wsi]?.bodyEnded() ?? 0
        case LWS_CALLBACK_HTTP_WRITEABLE: return exchanges[wsi]?.writable() ?? 0
        case LWS_CALLBACK_CLOSED_HTTP:
            exchanges.removeValue(forKey: wsi)?.connectionClosed()
            return 0
        case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return confirmUpgrade(wsi, call.input)
        case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return filterUpgrade(wsi)
        case LWS_CALLBACK_ESTABLISHED:
            sockets[wsi]?.established()
            return 0
        case LWS_CALLBACK_RECEIVE: return sockets[wsi]?.received(call.bytes) ?? -1
        case LWS_CALLBACK_RECEIVE_PONG:
            sockets[wsi]?.heardFrom()
            return 0
        case LWS_CALLBACK_SERVER_WRITEABLE: return sockets[wsi]?.writable() ?? 0
        case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
            sockets[wsi]?.peerCloses(call.bytes)
            return 0
        case LWS_CALLBACK_CLOSED:
            sockets.removeValue(forKey: wsi)?.connectionClosed()
            return 0
        case LWS_CALLBACK_WSI_DESTROY:
            exchanges.removeValue(forKey: wsi)?.connectionClosed()
            sockets.removeValue(forKey: wsi)?.connectionClosed()
            connections.removeValue(forKey: wsi)?.released()
            return 0
        default: return 0
        }
    }
}
