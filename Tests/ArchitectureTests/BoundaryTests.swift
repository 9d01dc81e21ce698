// What may not leave Platform, and what may not float about: raw memory, unchecked promises, tasks that nobody ends.
import Testing

@Suite struct BoundaryTests {
    private let tree = SourceTree.shared

    /// Files outside Platform that look at raw memory, and why that is right.
    private let rawMemoryAllowed: [String: String] = [
        "Sources/Essentials/Essentials/JSON+Parse.swift": "the parser reads every byte of every object; nothing raw leaves the file"
    ]

    @Test func rawMemoryStaysInPlatform() {
        var findings = Findings()
        for file in tree.sources where file.layer != "Platform" && file.layer != "C" && rawMemoryAllowed[file.path] == nil {
            for word in ["Unsafe", "unsafe", "OpaquePointer", "Unmanaged"] {
                for (number, line) in file.code(with: word) {
                    if let match = line.firstMatch(
                        of: /\w*Unsafe[A-Z]\w*|\bOpaquePointer\b|nonisolated\(unsafe\)|\bunsafeBitCast\b|\bUnmanaged\b/)
                    {
                        findings.add(file, line: number, "\(match.output) belongs in Platform")
                    }
                }
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    /// `@unchecked Sendable` is a promise: only Platform makes it, and the next line says what keeps it.
    @Test func uncheckedSendableNamesItsGuard() {
        var findings = Findings()
        for file in tree.sources {
            for (number, _) in file.code(with: "@unchecked Sendable") {
                if file.layer != "Platform" {
                    findings.add(file, line: number, "@unchecked Sendable belongs in Platform")
                } else if !file.lines.dropFirst(number).prefix(1).contains(where: { $0.trimmingPrefix(/\s*/).hasPrefix("//") }) {
                    findings.add(file, line: number, "the next line says, as a comment, what guards the state")
                }
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    /// Tasks that are started outside a program and not kept in a variable of a file that cancels it, and who ends them.
    private let heldTasks: [String: String] = [:]

    @Test func tasksAreStartedByProgramsOrHeldByTheirStarter() {
        var findings = Findings()
        for file in tree.sources where file.layer != "Programs" {
            for (number, line) in file.code(with: "Task") {
                guard line.contains(/(?:^|[^\w.])Task(?:\.detached)?\s*(?:<[^>]*>)?\s*(?:\([^)]*\))?\s*\{/) else { continue }
                let kept =
                    line.contains(/=\s*Task\b|append\(\s*Task\b|\breturn\s+Task\b/) && file.code.contains { $0.contains(".cancel()") }
                if !kept && heldTasks[file.path] == nil {
                    findings.add(
                        file, line: number,
                        "a free-floating Task: use a task group, keep and cancel it in this file, or name its holder in \(#fileID)")
                }
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }

    @Test func tasksThatAreListedExist() {
        let paths = Set(tree.sources.map(\.path))
        #expect(heldTasks.keys.filter { !paths.contains($0) }.isEmpty)
    }

    /// An error that says only a sentence has no stable reason, so nobody can act on it.
    @Test func errorsAreCases() {
        var findings = Findings()
        for file in tree.sources {
            for (number, line) in file.code(with: "String")
            where line.contains(/case\s+(?:other|unknown|misc|generic)\(\s*(?:\w+:\s*)?String\s*\)/) {
                findings.add(file, line: number, "give this error a reason of its own")
            }
        }
        #expect(findings.isEmpty, "\(findings)")
    }
}
