// Accounts, login links, progress, settings and the audit trail, in Lectern's database.
//
// Staff accounts are few and held in memory too, so that a WebSocket's request can be judged on the loop without a query.
internal import Crypto
package import Database
package import Essentials
internal import Synchronization

package struct AuditEntry: Sendable, Equatable {
    package var at: Timestamp
    package var who: String
    package var what: String
}

package final class Accounts: Sendable {
    /// Login links work once, and only this long.
    package static let loginLinkSeconds: Int64 = 24 * 3600
    /// The state one account may keep for one workshop.
    package static let progressLimitBytes = 16 << 10
    /// Audit entries kept; older ones are removed.
    package static let auditLimit = 10_000

    package static let migrations: [Migration] = [
        Migration(
            """
            CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
            CREATE TABLE accounts (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, epoch INTEGER NOT NULL, created_at INTEGER NOT NULL)
              WITHOUT ROWID;
            CREATE TABLE login_links (token_hash TEXT PRIMARY KEY, account TEXT NOT NULL, role TEXT NOT NULL, expires_at INTEGER NOT NULL)
              WITHOUT ROWID;
            CREATE TABLE progress (account TEXT NOT NULL, workshop TEXT NOT NULL, state TEXT NOT NULL, changed_at INTEGER NOT NULL,
              PRIMARY KEY (account, workshop)) WITHOUT ROWID;
            CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL);
            CREATE TABLE ended_labs (id TEXT PRIMARY KEY, owner TEXT NOT NULL, ended_at INTEGER NOT NULL, lab TEXT NOT NULL) WITHOUT ROWID;
            CREATE INDEX ended_labs_by_time ON ended_labs (ended_at);
            """)
    ]

    private let database: Database
    private let clock: any WallClock
    package let tokens: SessionTokens
    /// The secret that signs port capabilities.
    package let portKey: [UInt8]
    private let staff: Mutex<[String: (account: Account, epoch: Int)]>

    package init(database: Database, clock: any WallClock = SystemClock()) throws {
        self.database = database
        self.clock = clock
        let secret = try Self.secret(in: database)
        tokens = SessionTokens(key: Hash.hmacSHA256(key: secret, Array("sessions".utf8)))
        portKey = Hash.hmacSHA256(key: secret, Array("ports".utf8))
        var known: [String: (account: Account, epoch: Int)] = [:]
        let rows = try database.read { try $0.query("SELECT id, name, role, epoch FROM accounts WHERE role <> 'learner'") }
        for row in rows {
            guard let role = Role(rawValue: row.text(2)) else { continue }
            known[row.text(0)] = (Account(id: row.text(0), name: row.text(1), role: role), Int(row.integer(3)))
        }
        staff = Mutex(known)
    }

    private static func secret(in database: Database) throws -> [UInt8] {
        let fresh = Identifier.secret()
        try database.write { try $0.execute("INSERT OR IGNORE INTO settings (key, value) VALUES ('secret', ?)", .text(fresh)) }
        let stored = try database.read { try $0.query("SELECT value FROM settings WHERE key = 'secret'") }
        return Array((stored.first?.text(0) ?? fresh).utf8)
    }

    // MARK: - Sessions

    /// A learner nobody has seen before, and the token of the session.
    package func newVisitor() -> (account: Account, token: String) {
        let account = Account(id: "u" + Identifier.short(length: 15), name: "Learner", role: .learner)
        return (account, tokens.issue(account: account.id, now: clock.now()))
    }

    /// The account of a session token; `nil` where it is forged, over or revoked. Quick: no query.
    package func account(token: String) -> Account? {
        guard let session = tokens.verify(token, now: clock.now()) else { return nil }
        if let known = staff.withLock({ $0[session.account] }) {
            return known.epoch == session.epoch ? known.account : nil
        }
        // Staff ids never fall back to learners: a removed admin's token opens nothing.
        guard session.account.hasPrefix("u"), session.epoch == 0 else { return nil }
        return Account(id: session.account, name: "Learner", role: .learner)
    }

    // MARK: - Login links

    /// A link's token, good once. Only its hash is stored.
    package func makeLoginLink(role: Role, by who: String) throws -> String {
        let token = Identifier.secret()
        let account = "s" + Identifier.short(length: 15)
        let now = clock.now().seconds
        try database.write {
            try $0.execute("DELETE FROM login_links WHERE expires_at < ?", .integer(now))
            try $0.execute(
                "INSERT INTO login_links (token_hash, account, role, expires_at) VALUES (?, ?, ?, ?)", .text(Self.hash(token)),
                .text(account), .text(role.rawValue), .integer(now + Self.loginLinkSeconds))
        }
        audit(who: who, what: "made a login link for the role \(role.rawValue)")
        return token
    }

    /// Uses up a link and returns the session it opens.
    package func useLoginLink(_ token: String) throws -> (account: Account, token: String) {
        let now = clock.now()
        let hash = Self.hash(token)
        let account: Account? = try database.write { connection in
            guard
                let row = try connection.query(
                    "DELETE FROM login_links WHERE token_hash = ? AND expires_at > ? RETURNING account, role", .text(hash),
                    .integer(now.seconds)
                ).first, let role = Role(rawValue: row.text(1))
            else { return nil }
            let account = Account(id: row.text(0), name: role.rawValue.prefix(1).uppercased() + role.rawValue.dropFirst(), role: role)
            try connection.execute(
                "INSERT OR IGNORE INTO accounts (id, name, role, epoch, created_at) VALUES (?, ?, ?, 1, ?)",
                .text(account.id), .text(account.name), .text(role.rawValue), .integer(now.seconds))
            return account
        }
        guard let account else { throw AccountProblem.linkUsed }
        staff.withLock { $0[account.id] = (account, 1) }
        audit(who: account.id, what: "signed in as \(account.role.rawValue)")
        return (account, tokens.issue(account: account.id, epoch: 1, now: now))
    }

    private static func hash(_ token: String) -> String { Hex.encode(Hash.sha256(Array(token.utf8))) }

    // MARK: - Progress

    package func progress(account: String, workshop: String) throws -> String? {
        try database.read {
            try $0.query("SELECT state FROM progress WHERE account = ? AND workshop = ?", .text(account), .text(workshop)).first?.text(0)
        }
    }

    package func setProgress(account: String, workshop: String, state: String) throws {
        try database.write {
            try $0.execute(
                """
                INSERT INTO progress (account, workshop, state, changed_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (account, workshop) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at
                """, .text(account), .text(workshop), .text(state), .integer(clock.now().seconds))
        }
    }

    // MARK: - Settings and audit

    package func setting(_ key: String) throws -> String? {
        try database.read { try $0.query("SELECT value FROM settings WHERE key = ?", .text(key)).first?.text(0) }
    }

    package func setSetting(_ key: String, to value: String) throws {
        try database.write {
            try $0.execute(
                "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", .text(key),
                .text(value))
        }
    }

    /// Notes who did what. A failure to note never stops the deed.
    package func audit(who: String, what: String) {
        try? database.write {
            try $0.execute(
                "INSERT INTO audit (at, who, what) VALUES (?, ?, ?)", .integer(clock.now().seconds), .text(who), .text(what))
            try $0.execute(
                "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", .integer(Int64(Self.auditLimit)))
        }
    }

    package func auditTrail(limit: Int) throws -> [AuditEntry] {
        try database.read {
            try $0.query("SELECT at, who, what FROM audit ORDER BY id DESC LIMIT ?", .integer(Int64(limit))).map {
                AuditEntry(at: Timestamp(seconds: $0.integer(0)), who: $0.text(1), what: $0.text(2))
            }
        }
    }
}
