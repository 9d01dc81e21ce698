// Session tokens and login links: forged, old and used ones open nothing.
import Accounts
import Database
import Essentials
import Testing

@Suite struct SessionTokensTests {
    let tokens = SessionTokens(key: Array("key".utf8))
    let now = Timestamp(seconds: 1_800_000_000)

    @Test func aTokenTellsItsAccount() {
        let token = tokens.issue(account: "u1", now: now)
        #expect(tokens.verify(token, now: now)?.account == "u1")
        #expect(tokens.checkCSRF(tokens.csrf(for: token), for: token))
        #expect(!tokens.checkCSRF(tokens.csrf(for: token + "x"), for: token))
    }

    @Test func forgedAndOldTokensOpenNothing() {
        let token = tokens.issue(account: "u1", now: now)
        #expect(tokens.verify(token.replacing("u1", with: "u2"), now: now) == nil)
        #expect(SessionTokens(key: [1]).verify(token, now: now) == nil)
        #expect(tokens.verify(token, now: now.adding(seconds: SessionTokens.lifetimeSeconds)) == nil)
        #expect(tokens.verify(token, now: now.adding(seconds: -86_400)) == nil)
        for text in ["", "v1....", String(repeating: "a", count: 10_000)] { #expect(tokens.verify(text, now: now) == nil) }
    }

    @Test func aLoginLinkWorksOnceAndMakesStaff() throws {
        let database = try Database(path: ":memory:", migrations: Accounts.migrations)
        let clock = ManualClock()
        let accounts = try Accounts(database: database, clock: clock)
        let link = try accounts.makeLoginLink(role: .admin, by: "test")
        let session = try accounts.useLoginLink(link)
        #expect(session.account.role == .admin)
        #expect(accounts.account(token: session.token)?.role == .admin)
        #expect(throws: AccountProblem.linkUsed) { try accounts.useLoginLink(link) }
        let late = try accounts.makeLoginLink(role: .admin, by: "test")
        clock.advance(seconds: Accounts.loginLinkSeconds + 1)
        #expect(throws: AccountProblem.linkUsed) { try accounts.useLoginLink(late) }
        #expect(try Accounts(database: database, clock: clock).account(token: session.token)?.role == .admin)
        #expect(try accounts.auditTrail(limit: 10).contains { $0.what.contains("signed in") })
    }

    @Test func aStaffIdNeverFallsBackToALearner() throws {
        let accounts = try Accounts(database: Database(path: ":memory:", migrations: Accounts.migrations))
        let stale = accounts.tokens.issue(account: "sgone", epoch: 1, now: SystemClock().now())
        #expect(accounts.account(token: stale) == nil)
        let (visitor, token) = accounts.newVisitor()
        #expect(accounts.account(token: token) == visitor)
    }

    @Test func progressIsKeptPerAccountAndWorkshop() throws {
        let accounts = try Accounts(database: Database(path: ":memory:", migrations: Accounts.migrations))
        try accounts.setProgress(account: "u1", workshop: "w", state: "{}")
        try accounts.setProgress(account: "u1", workshop: "w", state: #"{"step":2}"#)
        #expect(try accounts.progress(account: "u1", workshop: "w") == #"{"step":2}"#)
        #expect(try accounts.progress(account: "u2", workshop: "w") == nil)
    }
}
