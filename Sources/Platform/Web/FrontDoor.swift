// The front door's vocabulary: who decides where a new connection goes, and what a splice is.
package import Essentials

/// Decides by host name where a new connection goes.
@WebLoop
package protocol FrontDoorRouting: AnyObject, Sendable {
    /// `host` is the server name of TLS or the `Host` of the first head, in lower case, without port.
    func route(host: String, head: PeekedHead) -> FrontDoorRoute
}

/// What is known of a connection before it is handed on.
package struct PeekedHead: Sendable {
    /// The first head where the connection is not TLS. With TLS it is read later, and `SpliceOpener.open` gets it.
    package var request: HTTPRequest?
    package var isTLS: Bool
    package var remoteAddress: String

    package init(request: HTTPRequest? = nil, isTLS: Bool, remoteAddress: String) {
        self.request = request
        self.isTLS = isTLS
        self.remoteAddress = remoteAddress
    }
}

package enum FrontDoorRoute: Sendable {
    /// To the HTTP server.
    case serve
    /// Byte for byte to a node.
    case splice(any SpliceOpener)
}

/// Opens the far side of a splice.
package protocol SpliceOpener: Sendable {
    /// `request` is the first head. Called once per connection (again only after `.respond` on a connection kept alive).
    func open(_ request: HTTPRequest) async -> SpliceOpening
}

package enum SpliceOpening: Sendable {
    case connected(OwnedDescriptor, SpliceOptions)
    /// Sent instead, as the answer to the first head (a waiting page, 403, a redirect that sets a cookie); then closed.
    case respond(HTTPResponse)
}

package struct SpliceOptions: Sendable {
    /// Cookies that are taken out of the first head.
    package var dropCookies: [String] = []
    /// Query items that are taken out of the first head's target.
    package var dropQuery: [String] = []
    /// Fields that are set in the first head.
    package var setHeaders: [(String, String)] = []
    /// Speak TLS towards the node, without checking its certificate.
    package var upstreamTLS = false

    package init(dropCookies: [String] = [], dropQuery: [String] = [], setHeaders: [(String, String)] = [], upstreamTLS: Bool = false) {
        self.dropCookies = dropCookies
        self.dropQuery = dropQuery
        self.setHeaders = setHeaders
        self.upstreamTLS = upstreamTLS
    }
}
