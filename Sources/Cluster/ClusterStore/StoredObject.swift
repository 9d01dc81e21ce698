// An object at one revision, and the bound on how many of them are kept parsed.
package import Essentials
internal import Synchronization

/// An object at one revision. The document is parsed when someone asks for it first, and kept.
package final class StoredObject: Sendable {
    package let key: String
    package let revision: Int64
    package let created: Int64
    package let bytes: [UInt8]
    private let parsed: Mutex<JSON?>
    /// Where objects live long, who decides when the document is let go of.
    private let ring: DocumentRing?

    init(key: String, revision: Int64, created: Int64, bytes: [UInt8], document: JSON? = nil, ring: DocumentRing? = nil) {
        self.key = key
        self.revision = revision
        self.created = created
        self.bytes = bytes
        self.ring = ring
        parsed = Mutex(document)
        if document != nil { ring?.note(self) }
    }

    package var document: JSON {
        let (document, isNew) = parsed.withLock { value in
            if let value { return (value, false) }
            // The store wrote these bytes itself; a damaged file shows as an empty object, not as a crash.
            let document = (try? JSON(parsing: bytes)) ?? .emptyObject
            value = document
            return (document, true)
        }
        if isNew { ring?.note(self) }
        return document
    }

    fileprivate func forgetDocument() { parsed.withLock { $0 = nil } }
}

/// The objects that are parsed now, the oldest giving way to the newest.
final class DocumentRing: Sendable {
    private struct State {
        var slots: [StoredObject?]
        var next = 0
    }
    private let state: Mutex<State>

    init(limit: Int) { state = Mutex(State(slots: Array(repeating: nil, count: limit))) }

    func note(_ object: StoredObject) {
        let evicted = state.withLock { state in
            let evicted = state.slots[state.next]
            state.slots[state.next] = object
            state.next = (state.next + 1) % state.slots.count
            return evicted
        }
        evicted?.forgetDocument()
    }
}
