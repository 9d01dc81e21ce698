// Writes HTML that is well-formed by construction, from trusted calls and from fragments that an author wrote.
//
// The writer keeps the stack of open elements. An element opened by a trusted call can only be closed by one, which
// first closes whatever an author left open inside it; an author's end tag only reaches elements the author opened
// above the last trusted one. So no fragment can close, or break out of, what the platform itself wrote. Text and
// attribute values are always escaped; there is no call that copies bytes through.

package struct HTMLWriter {
    /// An attribute; `value` is escaped when it is written, and left out where it is `nil`.
    package typealias Attribute = (name: String, value: String?)

    /// What an author wrote that was not let through, or not closed.
    package struct Remark: Sendable, Equatable {
        package enum Kind: Sendable, Equatable { case removedElement, removedAttribute, refusedAddress, unclosedElement }
        package var kind: Kind
        package var what: String
        package var line: Int
    }

    private struct Element {
        var name: String
        var isTrusted: Bool
        /// `false` for elements that are followed but not written: dropped ones, and all below them.
        var isWritten: Bool
        /// Whether what stands inside is written.
        var showsContent: Bool
        var line: Int
    }

    /// Author elements open at once beyond this are dropped, tags and all; their text stays.
    package static let authorDepthLimit = 60

    package private(set) var html = ""
    package private(set) var remarks: [Remark] = []
    private var stack: [Element] = []

    package init() {}

    package static let voidElements: Set<String> = ["br", "hr", "img", "wbr", "col", "input"]

    private var showsContent: Bool { stack.last?.showsContent ?? true }

    // MARK: Trusted calls

    package mutating func open(_ name: String, _ attributes: [Attribute] = []) {
        let shown = showsContent
        if shown { writeTag(name, attributes) }
        stack.append(Element(name: name, isTrusted: true, isWritten: shown, showsContent: shown, line: 0))
    }

    package mutating func close(_ name: String) {
        while let top = stack.last, !top.isTrusted { popAuthorElement(top) }
        precondition(stack.last?.name == name, "closes <\(name)> while <\(stack.last?.name ?? "nothing")> is open")
        if stack.removeLast().isWritten { html += "</\(name)>" }
    }

    package mutating func void(_ name: String, _ attributes: [Attribute] = []) {
        if showsContent { writeTag(name, attributes) }
    }

    package mutating func text(_ text: String) {
        if showsContent { HTMLText.escape(text, into: &html) }
    }

    package mutating func newline() {
        if showsContent { html += "\n" }
    }

    /// Closes what an author left open at this level, so that it does not swallow what follows.
    package mutating func closeAuthorElements() {
        while let top = stack.last, !top.isTrusted { popAuthorElement(top) }
    }

    /// The finished document; every trusted element has been closed.
    package mutating func finish() -> String {
        closeAuthorElements()
        precondition(stack.isEmpty, "<\(stack.last?.name ?? "")> is still open")
        return html
    }

    package mutating func remark(_ kind: Remark.Kind, _ what: String, line: Int) {
        if remarks.count < 1000 { remarks.append(Remark(kind: kind, what: what, line: line)) }
    }

    // MARK: Author calls, made by `AuthorHTML` only

    mutating func openAuthorElement(_ name: String, _ attributes: [Attribute], line: Int) {
        guard stack.count(where: { !$0.isTrusted }) < Self.authorDepthLimit else { return }
        let shown = showsContent
        if shown { writeTag(name, attributes) }
        stack.append(Element(name: name, isTrusted: false, isWritten: shown, showsContent: shown, line: line))
    }

    /// Follows an element without writing it, and hides all inside it until it ends.
    mutating func openHiddenElement(_ name: String, line: Int) {
        guard stack.count(where: { !$0.isTrusted }) < Self.authorDepthLimit else { return }
        stack.append(Element(name: name, isTrusted: false, isWritten: false, showsContent: false, line: line))
    }

    /// Ends the nearest author element of that name, and those inside it. Without one, nothing happens.
    mutating func closeAuthorElement(_ name: String) {
        let reachable = stack.reversed().prefix { !$0.isTrusted }
        guard reachable.contains(where: { $0.name == name }) else { return }
        while let top = stack.last {
            if top.name == name {
                stack.removeLast()
                if top.isWritten { html += "</\(name)>" }
                return
            }
            popAuthorElement(top)
        }
    }

    /// The innermost element, where an author opened it and it is shown.
    var topAuthorElement: String? {
        stack.last.flatMap { !$0.isTrusted && $0.isWritten ? $0.name : nil }
    }

    var hidesContent: Bool { !showsContent }

    /// Ends hidden elements on top, which must not reach past the fragment that opened them.
    mutating func closeHiddenElements() {
        while let top = stack.last, !top.isTrusted, !top.showsContent { popAuthorElement(top) }
    }

    private mutating func popAuthorElement(_ top: Element) {
        stack.removeLast()
        if top.isWritten { html += "</\(top.name)>" }
        if !AuthorHTML.optionalEnd.contains(top.name) { remark(.unclosedElement, top.name, line: top.line) }
    }

    private mutating func writeTag(_ name: String, _ attributes: [Attribute]) {
        html += "<\(name)"
        for attribute in attributes {
            guard let value = attribute.value else { continue }
            html += " \(attribute.name)=\""
            HTMLText.escape(value, into: &html)
            html += "\""
        }
        html += ">"
    }
}
