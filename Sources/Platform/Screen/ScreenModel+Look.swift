// SGR: colours and attributes.

extension ScreenModel {
    func setLook(_ parameters: [(value: Int, isSub: Bool)]) {
        if parameters.isEmpty { cursorState.look = Look() }
        var index = 0
        while index < parameters.count {
            let code = max(0, parameters[index].value)
            // Values behind colons belong to the one before them.
            var subs: [Int] = []
            var next = index + 1
            while next < parameters.count, parameters[next].isSub {
                subs.append(parameters[next].value)
                next += 1
            }
            switch code {
            case 38, 48: next = setColor(code, subs, parameters, next)
            case 4: setUnderline(subs.first.map { min(max($0, 0), 5) } ?? 1)
            default: setSimple(code)
            }
            index = next
        }
    }

    private func setSimple(_ code: Int) {
        switch code {
        case 0: cursorState.look = Look()
        case 1: cursorState.look.flags |= Look.bold
        case 2: cursorState.look.flags |= Look.faint
        case 3: cursorState.look.flags |= Look.italic
        case 5, 6: cursorState.look.flags |= Look.blink
        case 7: cursorState.look.flags |= Look.reverse
        case 8: cursorState.look.flags |= Look.hidden
        case 9: cursorState.look.flags |= Look.strike
        case 21: setUnderline(2)
        case 22: cursorState.look.flags &= ~(Look.bold | Look.faint)
        case 23: cursorState.look.flags &= ~Look.italic
        case 24: setUnderline(0)
        case 25: cursorState.look.flags &= ~Look.blink
        case 27: cursorState.look.flags &= ~Look.reverse
        case 28: cursorState.look.flags &= ~Look.hidden
        case 29: cursorState.look.flags &= ~Look.strike
        case 53: cursorState.look.flags |= Look.overline
        case 55: cursorState.look.flags &= ~Look.overline
        case 30...37: cursorState.look.foreground = UInt32(code - 30 + 1)
        case 39: cursorState.look.foreground = 0
        case 40...47: cursorState.look.background = UInt32(code - 40 + 1)
        case 49: cursorState.look.background = 0
        case 90...97: cursorState.look.foreground = UInt32(code - 90 + 9)
        case 100...107: cursorState.look.background = UInt32(code - 100 + 9)
        default: break
        }
    }

    private func setUnderline(_ kind: Int) {
        cursorState.look.flags = cursorState.look.flags & ~Look.underlineMask | UInt16(kind) << Look.underlineShift
    }

    /// `38;5;n`, `38;2;r;g;b`, and the same with colons (with or without a colour space). Returns where to go on.
    private func setColor(_ code: Int, _ subs: [Int], _ parameters: [(value: Int, isSub: Bool)], _ next: Int) -> Int {
        var values = subs
        var end = next
        if values.isEmpty {
            guard next < parameters.count else { return next }
            let count = parameters[next].value == 2 ? 4 : parameters[next].value == 5 ? 2 : 1
            end = min(parameters.count, next + count)
            values = parameters[next..<end].map(\.value)
        } else if values.first == 2, values.count >= 5 {
            values.remove(at: 1)
        }
        let bytes = values.map { UInt32(min(max($0, 0), 255)) }
        var color: UInt32?
        if values.first == 5, bytes.count >= 2 { color = bytes[1] + 1 }
        if values.first == 2, bytes.count >= 4 { color = 1 << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3] }
        guard let color else { return end }
        if code == 38 { cursorState.look.foreground = color } else { cursorState.look.background = color }
        return end
    }
}
