// `/livez`, `/readyz`, `/healthz`: whether the server lives, and whether it should be asked.
internal import ClusterModel
internal import Essentials
internal import Web

package struct HealthChecks: Sendable {
    package struct Check: Sendable {
        package var name: String
        /// Whether only readiness waits for it.
        package var isForReadiness: Bool
        package var passes: @Sendable () -> Bool

        package init(_ name: String, isForReadiness: Bool = false, passes: @escaping @Sendable () -> Bool) {
            self.name = name
            self.isForReadiness = isForReadiness
            self.passes = passes
        }
    }

    private let checks: [Check]

    package init(_ checks: [Check] = []) { self.checks = [Check("ping") { true }, Check("log") { true }] + checks }

    /// `nil` where the path is no health check.
    func answer(_ request: APIRequest) -> HTTPResponse? {
        let parts = request.path.split(separator: "/", omittingEmptySubsequences: true)
        guard let name = parts.first, ["livez", "readyz", "healthz"].contains(name), parts.count <= 3 else { return nil }
        let mine = checks.filter { !$0.isForReadiness || name == "readyz" }
        if parts.count > 1 {
            let wanted = parts.dropFirst().joined(separator: "/")
            guard let check = mine.first(where: { $0.name == wanted }) else { return .text("404 page not found\n", status: 404) }
            return check.passes() ? Self.text("ok", 200) : Self.text("internal server error: not ready\n", 500)
        }
        let excluded = Set(request.query.filter { $0.0 == "exclude" }.map(\.1))
        var lines = ""
        var failed = 0
        for check in mine {
            if excluded.contains(check.name) {
                lines += "[+]\(check.name) excluded: ok\n"
            } else if check.passes() {
                lines += "[+]\(check.name) ok\n"
            } else {
                failed += 1
                lines += "[-]\(check.name) failed: reason withheld\n"
            }
        }
        if failed > 0 { return Self.text(lines + "\(name) check failed\n", 500) }
        return Self.text(request.query.contains { $0.0 == "verbose" } ? lines + "\(name) check passed\n" : "ok", 200)
    }

    private static func text(_ text: String, _ status: Int) -> HTTPResponse {
        HTTPResponse(
            status: status,
            headers: [
                "content-type": "text/plain; charset=utf-8", "cache-control": "no-cache, private", "x-content-type-options": "nosniff",
            ], body: .bytes(Array(text.utf8)))
    }
}
