// The allow list for HTML that authors write in their Markdown: elements, attributes and addresses.
//
// To allow an element, add it to `elements` with its attributes; to allow an attribute, decide in `value(of:)` what its
// value may be. What is not listed is dropped: an unknown element loses its tags and keeps its content, a dangerous one
// goes with its content. No `style`, no `on…`, no `data-…`, no custom element: those belong to the platform.

/// What addresses in a lesson lead to; the caller knows the workshop's files and pages.
package protocol AuthorReferences {
    /// The attributes of a link to `target` (`href`, and for other sites `target` and `rel`); `nil` refuses it.
    func link(_ target: String) -> [HTMLWriter.Attribute]?
    /// The address of a picture beside the lesson; `nil` refuses it.
    func picture(_ source: String) -> String?
    /// The id for an anchor that the author named; `nil` refuses it.
    func anchor(_ name: String) -> String?
}

package enum AuthorHTML {
    private static let common: Set<String> = ["id", "class", "title", "lang", "dir", "align", "aria-label"]

    private static let elements: [String: Set<String>] = {
        var result: [String: Set<String>] = [
            "a": ["href", "name"], "img": ["src", "alt", "width", "height"], "details": ["open"], "ol": ["start", "reversed"],
            "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan", "scope"], "col": ["span"], "colgroup": ["span"],
            "time": ["datetime"], "li": ["value"], "table": ["width"],
        ]
        let plain = """
            abbr address article aside b bdi bdo blockquote br caption center cite code dd del dfn div dl dt em figcaption figure
            footer h1 h2 h3 h4 h5 h6 header hr i ins kbd mark p pre q rp rt ruby s samp small span strike strong sub summary
            sup tbody tfoot thead tr tt u ul var wbr
            """
        for name in plain.split(whereSeparator: { $0 == " " || $0 == "\n" }) { result[String(name)] = [] }
        return result
    }()

    /// Elements that go with all they contain.
    private static let dangerous: Set<String> = [
        "script", "style", "iframe", "object", "embed", "applet", "svg", "math", "noscript", "template", "textarea", "title",
        "select", "xmp", "noembed", "noframes", "plaintext", "frameset", "head", "audio", "video", "canvas", "portal",
    ]

    /// Of these, those whose content is text up to their end tag, whatever stands in it.
    private static let rawText: Set<String> = [
        "script", "style", "iframe", "textarea", "title", "xmp", "noembed", "noframes", "noscript", "plaintext",
    ]

    /// Elements whose end tag may be left out.
    static let optionalEnd: Set<String> = ["p", "li", "dt", "dd", "td", "th", "tr", "tbody", "thead", "tfoot", "rp", "rt", "colgroup"]

    private static let blocks: Set<String> = [
        "address", "article", "aside", "blockquote", "center", "details", "div", "dl", "figcaption", "figure", "footer", "header",
        "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "table", "ul",
    ]

    /// Class names that the platform's style sheet gives a meaning for authors.
    package static let classes: Set<String> = [
        "note", "tip", "important", "warning", "caution", "center", "left", "right", "wide", "small", "lead",
    ]

    /// Writes an author's fragment, as far as it is allowed.
    /// - Parameter isBlock: the fragment is a block of its own, so nothing hidden may reach past it.
    package static func write(
        _ fragment: String, to writer: inout HTMLWriter, references: some AuthorReferences, line: Int, isBlock: Bool
    ) {
        var tokens = HTMLTokenizer(fragment)
        while let token = tokens.next() {
            switch token {
            case .text(let text): writer.text(HTMLText.unescaped(text))
            case .end(let name): writer.closeAuthorElement(name)
            case .start(let name, let attributes, let selfClosing):
                let line = line + tokens.lines
                if dangerous.contains(name) {
                    writer.remark(.removedElement, name, line: line)
                    if name == "embed" || (selfClosing && !rawText.contains(name)) { continue }
                    if rawText.contains(name), tokens.skipRawText(endingWith: name) { continue }
                    writer.openHiddenElement(name, line: line)
                } else if let allowed = elements[name] {
                    start(name, attributes, allowed, &writer, references, line)
                    if selfClosing, !HTMLWriter.voidElements.contains(name) { writer.closeAuthorElement(name) }
                } else {
                    writer.remark(.removedElement, name, line: line)
                }
            }
        }
        if isBlock { writer.closeHiddenElements() }
    }

    private static func start(
        _ name: String, _ attributes: [(name: String, value: String)], _ allowed: Set<String>, _ writer: inout HTMLWriter,
        _ references: some AuthorReferences, _ line: Int
    ) {
        var kept: [HTMLWriter.Attribute] = []
        for (attribute, value) in attributes {
            if name == "a", attribute == "href" {
                if let link = references.link(value) { kept += link } else { writer.remark(.refusedAddress, value, line: line) }
            } else if name == "img", attribute == "src" {
                if let source = references.picture(value) {
                    kept.append(("src", source))
                } else {
                    writer.remark(.refusedAddress, value, line: line)
                }
            } else if attribute == "id" || attribute == "name" {
                if let anchor = references.anchor(value), !kept.contains(where: { $0.name == "id" }) { kept.append(("id", anchor)) }
            } else if name == "a", attribute == "target" || attribute == "rel" {
                continue  // decided with the address
            } else if allowed.contains(attribute) || common.contains(attribute), let (key, value) = self.value(of: attribute, value) {
                kept.append((key, value))
            } else {
                writer.remark(.removedAttribute, attribute, line: line)
            }
        }
        if writer.topAuthorElement == "p", blocks.contains(name) { writer.closeAuthorElement("p") }
        if optionalEnd.contains(name), writer.topAuthorElement == name { writer.closeAuthorElement(name) }
        if name == "img", !kept.contains(where: { $0.name == "src" }) {
            writer.text(attributes.first { $0.name == "alt" }?.value ?? "")
        } else if HTMLWriter.voidElements.contains(name) {
            writer.void(name, kept)
        } else {
            writer.openAuthorElement(name, kept, line: line)
        }
    }

    /// The attribute as it may be written; `nil` refuses it.
    private static func value(of name: String, _ value: String) -> (String, String)? {
        switch name {
        case "class":
            {
                let kept = value.split(whereSeparator: \.isWhitespace).map(String.init).filter(classes.contains)
                return kept.isEmpty ? nil : ("class", kept.joined(separator: " "))
            }()
        case "width", "height", "colspan", "rowspan", "start", "span", "value": number(value).map { (name, $0) }
        case "open", "reversed": (name, "")
        case "align": ["left", "right", "center", "justify"].contains(value.lowercased()) ? (name, value.lowercased()) : nil
        case "dir": ["ltr", "rtl", "auto"].contains(value.lowercased()) ? (name, value.lowercased()) : nil
        case "scope": ["col", "row", "colgroup", "rowgroup"].contains(value.lowercased()) ? (name, value.lowercased()) : nil
        default: (name, value)
        }
    }

    private static func number(_ value: String) -> String? {
        let isPercent = value.hasSuffix("%")
        var digits = isPercent ? String(value.dropLast()) : value
        if digits.hasSuffix("px") { digits = String(digits.dropLast(2)) }
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }) else { return nil }
        return isPercent ? digits + "%" : digits
    }
}
