// What the loop's thread owns: the libwebsockets context, the nested epoll set, the clock tick and a scratch buffer.
//
// libwebsockets is started with the first server that needs it; a program without one waits on the epoll set alone, which
// spares a megabyte. From then on, libwebsockets' poll loop blocks on its own sockets and on two adopted descriptors: the wake eventfd and an epoll set.
// The epoll set holds everything that is ours (accept sockets, raw connections, splices, the timer), so one thread serves
// all and the poll array holds no more than the HTTP connections.
internal import CLibwebsockets
internal import Essentials
internal import Glibc
internal import Logging

@WebLoop
final class LoopEngine {
    static let shared = LoopEngine()
    /// Bytes of `scratch` behind libwebsockets' headroom.
    nonisolated static let scratchBytes = 256 << 10
    /// Room in front of what `lws_write` is given, for frame headers.
    nonisolated static let headroom = 32

    /// Open descriptors the process may have, where its hard limit allows.
    private static let wantedDescriptors: UInt = 65_536

    nonisolated static let log = Logger(label: "lectern.web")

    private(set) var context: OpaquePointer!
    let poller = Poller()
    /// One buffer for reads and writes that are over before the callback returns.
    let scratch: UnsafeMutablePointer<UInt8>
    /// The vhosts that plain HTTP connections are adopted into: HTTP/1.1, and HTTP/2 by prior knowledge.
    private(set) var plainHost: OpaquePointer!
    private(set) var priorKnowledgeHost: OpaquePointer!
    /// The name of the one subprotocol libwebsockets knows; see `ProtocolTable`.
    let protocols = ProtocolTable()

    var connections: [OpaquePointer: ConnectionTicket] = [:]
    var exchanges: [OpaquePointer: Exchange] = [:]
    var sockets: [OpaquePointer: WebSocket] = [:]
    /// The `SSL_CTX` of the vhost being made.
    var newTLSContext: OpaquePointer?
    /// For TLS towards nodes, whose certificates nobody could check.
    lazy var trustingContext: TLSContext? = {
        var options = HTTPClientOptions()
        options.insecure = true
        return try? TLSContext(trusting: options)
    }()

    private init() {
        scratch = .allocate(capacity: Self.headroom + Self.scratchBytes + 64) + Self.headroom
    }

    /// Begins to wait. Apart from `init`, because what is called wants `shared`.
    func start() {
        Self.raiseDescriptorLimit()
        poller.watchWake(LoopExecutor.shared.wakeDescriptor)
    }

    /// Makes the context, once.
    func startLibrary() {
        guard context == nil else { return }
        lws_set_log_level(Int32(getenv("LECTERN_LWS_LOG") == nil ? LLL_ERR : 31), logFromLibrary)
        var info = lws_context_creation_info()
        info.port = CONTEXT_PORT_NO_LISTEN_SERVER
        info.options = UInt64(LWS_SERVER_OPTION_EXPLICIT_VHOSTS) | UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT)
        info.gid = -1
        info.uid = -1
        info.max_http_header_data = 20 << 10
        info.pt_serv_buf_size = 16 << 10
        info.timeout_secs = 30
        info.timeout_secs_ah_idle = 30
        // libwebsockets' libev part takes SIGINT to stop its loop; what the signal does is the program's to say.
        var interrupt = sigaction()
        sigaction(SIGINT, nil, &interrupt)
        defer { sigaction(SIGINT, &interrupt, nil) }
        let options = info.options
        info.options |= UInt64(LWS_SERVER_OPTION_LIBEV)
        context = lws_create_context(&info)
        if context == nil {
            // The libev part of libwebsockets is a package of its own.
            info.options = options
            context = lws_create_context(&info)
        }
        guard context != nil else { fatalError("libwebsockets could not start") }
        plainHost = protocols.makeHost(context, name: "\u{1}plain", priorKnowledge: false)
        priorKnowledgeHost = protocols.makeHost(context, name: "\u{1}prior", priorKnowledge: true)
        poller.unwatchWake(LoopExecutor.shared.wakeDescriptor)
        adopt(LoopExecutor.shared.wakeDescriptor)
        adopt(poller.descriptor)
    }

    // libwebsockets' tables have the size of the limit at this moment, and the usual 1,024 are few for a class.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < wantedDescriptors else { return }
        limit.rlim_cur = min(wantedDescriptors, limit.rlim_max)
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Serves: one turn with poll, for ever with libev.
    func run() {
        if context == nil { poller.dispatch(waiting: true) } else { _ = lws_service(context, 0) }
    }

    private func adopt(_ descriptor: Int32) {
        var file = lws_sock_file_fd_type()
        file.filefd = descriptor
        guard lws_adopt_descriptor_vhost(plainHost, LWS_ADOPT_RAW_FILE_DESC, file, ProtocolTable.fileProtocol, nil) != nil else {
            fatalError("libwebsockets does not take the wake descriptor")
        }
    }

    /// Work was queued while the loop waited.
    static func woken() {
        var count: UInt64 = 0
        _ = eventfd_read(LoopExecutor.shared.wakeDescriptor, &count)
        LoopExecutor.shared.drain()
    }

    /// A readable descriptor of ours: the wake eventfd or the epoll set.
    func fileReadable(_ descriptor: Int32) {
        if descriptor == poller.descriptor {
            poller.dispatch(waiting: false)
        } else {
            Self.woken()
        }
    }
}

private func logFromLibrary(_ level: Int32, _ line: UnsafePointer<CChar>?) {
    guard let line else { return }
    let text = String(cString: line)
    if getenv("LECTERN_LWS_LOG") != nil { _ = write(2, line, strlen(line)) }
    LoopEngine.log.debug("libwebsockets", metadata: ["line": .string(text)])
}
