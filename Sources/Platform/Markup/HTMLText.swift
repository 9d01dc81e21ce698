// Escaping and unescaping of HTML text.

package enum HTMLText {
    /// Appends `text` with `& < > " '` escaped and control characters replaced, fit for content and for quoted values.
    package static func escape(_ text: String, into html: inout String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": html += "&amp;"
            case "<": html += "&lt;"
            case ">": html += "&gt;"
            case "\"": html += "&quot;"
            case "'": html += "&#39;"
            case "\t", "\n": html.unicodeScalars.append(scalar)
            case "\r": html += "\n"
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}": html += "\u{FFFD}"
            // Bidirectional overrides would let a command show other text than it types.
            case "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}": html += "\u{FFFD}"
            default: html.unicodeScalars.append(scalar)
            }
        }
    }

    package static func escaped(_ text: String) -> String {
        var html = ""
        escape(text, into: &html)
        return html
    }

    private static let names: [String: Unicode.Scalar] = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": "\u{A0}", "colon": ":", "tab": "\t", "newline": "\n",
        "lpar": "(", "rpar": ")", "sol": "/", "bsol": "\\", "num": "#", "period": ".", "comma": ",", "semi": ";", "excl": "!",
        "quest": "?", "equals": "=", "hyphen": "\u{2010}", "copy": "\u{A9}", "reg": "\u{AE}", "trade": "\u{2122}",
        "hellip": "\u{2026}", "mdash": "\u{2014}", "ndash": "\u{2013}", "lsquo": "\u{2018}", "rsquo": "\u{2019}",
        "ldquo": "\u{201C}", "rdquo": "\u{201D}", "laquo": "\u{AB}", "raquo": "\u{BB}", "larr": "\u{2190}", "rarr": "\u{2192}",
        "uarr": "\u{2191}", "darr": "\u{2193}", "times": "\u{D7}", "middot": "\u{B7}", "bull": "\u{2022}", "deg": "\u{B0}",
        "check": "\u{2713}", "cross": "\u{2717}", "eacute": "\u{E9}", "egrave": "\u{E8}", "agrave": "\u{E0}", "ccedil": "\u{E7}",
        "auml": "\u{E4}", "ouml": "\u{F6}", "uuml": "\u{FC}", "szlig": "\u{DF}", "shy": "\u{AD}", "euro": "\u{20AC}",
    ]

    /// Resolves character references. A name that is not known stays as written, ampersand and all, and is escaped
    /// when it is written out again; so what was checked here is what a browser will see.
    package static func unescaped(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "&")) else { return text }
        let scalars = Array(text.unicodeScalars)
        var result = String.UnicodeScalarView()
        var index = 0
        while index < scalars.count {
            if scalars[index] == "&", let (scalar, length) = reference(scalars, at: index) {
                result.append(scalar)
                index += length
            } else {
                result.append(scalars[index])
                index += 1
            }
        }
        return String(result)
    }

    private static func reference(_ scalars: [Unicode.Scalar], at start: Int) -> (Unicode.Scalar, length: Int)? {
        var index = start + 1
        guard index < scalars.count else { return nil }
        if scalars[index] == "#" {
            index += 1
            let isHex = index < scalars.count && (scalars[index] == "x" || scalars[index] == "X")
            if isHex { index += 1 }
            let first = index
            var value: UInt32 = 0
            while index < scalars.count, let digit = Character(scalars[index]).hexDigitValue, isHex || digit < 10 {
                value = min(value &* (isHex ? 16 : 10) &+ UInt32(digit), 0x11_0000)
                index += 1
            }
            guard index > first else { return nil }
            if index < scalars.count, scalars[index] == ";" { index += 1 }
            return (value == 0 ? "\u{FFFD}" : Unicode.Scalar(value) ?? "\u{FFFD}", index - start)
        }
        var name = ""
        while index < scalars.count, scalars[index].isASCII, scalars[index].properties.isAlphabetic, name.count < 12 {
            name.unicodeScalars.append(scalars[index])
            index += 1
        }
        // Only with the semicolon, and in the names' own case but for those that browsers know in several.
        guard index < scalars.count, scalars[index] == ";" else {
            // `&lt` and its like count without a semicolon too, in browsers.
            for (short, scalar) in [("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\"")] as [(String, Unicode.Scalar)]
            where name.lowercased() == short {
                return (scalar, short.count + 1)
            }
            return nil
        }
        guard
            let scalar = names[name]
                ?? ["Tab", "NewLine", "AMP", "LT", "GT", "QUOT"].first(where: { $0 == name }).flatMap({ names[$0.lowercased()] })
        else { return nil }
        return (scalar, index - start + 1)
    }
}
