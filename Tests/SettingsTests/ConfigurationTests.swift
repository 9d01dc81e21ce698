// Reading lectern.yaml: what is right arrives, what is wrong is told with its line and the key that was meant.
import Essentials
import Labs
import Testing
import Web

@testable import Settings

@Suite struct ConfigurationTests {
    private func parse(_ text: String) throws(ConfigurationProblem) -> Configuration {
        try Configuration.parse(text, path: "/etc/lectern/lectern.yaml")
    }

    private func problem(_ text: String) -> ConfigurationProblem? {
        do {
            _ = try parse(text)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: ["", "# nothing but a comment\n", "caps:\n", "---\n"])
    func anEmptyFileIsTheDefault(text: String) throws {
        #expect(try parse(text) == Configuration())
    }

    @Test func valuesArrive() throws {
        let configuration = try parse(
            """
            listen: "0.0.0.0:80"
            publicURL: https://learn.example.org/
            portsDomain: Ports.Example.org
            tls: {certificate: tls/chain.pem, key: /keys/key.pem}
            caps:
              labLifetimeMinutes: 45
              labsTotal: 30
            limits:
              headBytes: 32768
            log:
              level: debug
            """)
        #expect(configuration.listen == ListenAddress(host: "0.0.0.0", port: 80))
        #expect(configuration.publicURL == "https://learn.example.org")
        #expect(configuration.portsDomain == "ports.example.org")
        #expect(configuration.tls == TLSPaths(certificate: "/etc/lectern/tls/chain.pem", key: "/keys/key.pem"))
        #expect(configuration.caps[.labLifetimeMinutes] == 45)
        #expect(configuration.caps[.labsTotal] == 30)
        #expect(configuration.caps[.idleMinutes] == Cap.idleMinutes.row.standard)
        #expect(configuration.limits.headBytes == 32768)
        #expect(configuration.logLevel == "debug")
    }

    @Test func anUnknownKeyIsToldWithItsLineAndTheOneThatWasMeant() {
        #expect(
            problem("listen: 127.0.0.1:80\ncaps:\n  idleMinuts: 4\n")
                == .unknownKey(.file(path: "/etc/lectern/lectern.yaml", line: 3), key: "caps.idleMinuts", nearest: "caps.idleMinutes"))
        #expect(
            problem("idleMinutes: 4\n")
                == .unknownKey(.file(path: "/etc/lectern/lectern.yaml", line: 1), key: "idleMinutes", nearest: "caps.idleMinutes"))
        #expect(
            problem("\n\nweather: fine\n")
                == .unknownKey(.file(path: "/etc/lectern/lectern.yaml", line: 3), key: "weather", nearest: nil))
    }

    @Test(arguments: [
        ("listen: 8080", "listen", "8080"), ("listen: example:80", "listen", "example:80"),
        ("listen: 1.2.3.4:70000", "listen", "1.2.3.4:70000"),
        ("caps: {nodesPerLab: 6}", "caps.nodesPerLab", "6"), ("caps: {nodesPerLab: many}", "caps.nodesPerLab", "many"),
        ("caps: {nodesPerLab: 1.5}", "caps.nodesPerLab", "1.5"), ("caps: {nodesPerLab: [1]}", "caps.nodesPerLab", "a list"),
        ("caps: 5", "caps", "5"), ("listen:", "listen", "empty"), ("listen: {host: x}", "listen", "a group of keys"),
        ("log: {level: loud}", "log.level", "loud"), ("publicURL: ftp://x", "publicURL", "ftp://x"),
        ("publicURL: 'https://a b'", "publicURL", "https://a b"), ("portsDomain: '-x.org'", "portsDomain", "-x.org"),
        ("limits: {headBytes: 12}", "limits.headBytes", "12"),
    ])
    func aWrongValueIsToldWithWhatIsRight(text: String, key: String, value: String) throws {
        guard case .invalidValue(.file(_, let line), let toldKey, let toldValue, let expected) = problem(text) else {
            Issue.record("\(text) gave \(String(describing: problem(text)))")
            return
        }
        #expect(line == 1)
        #expect(toldKey == key)
        #expect(toldValue == value)
        #expect(!expected.isEmpty)
    }

    @Test func allFaultsAreToldAtOnce() {
        guard case .several(let problems) = problem("listne: x\ncaps:\n  labsTotal: 0\n  extension: 3\n") else {
            Issue.record("one problem only")
            return
        }
        #expect(problems.count == 3)
        #expect(problems.map(\.reason) == ["ConfigurationKeyUnknown", "ConfigurationValueInvalid", "ConfigurationKeyUnknown"])
        #expect(ConfigurationProblem.several(problems).message.contains("lectern.yaml, line 3: caps.labsTotal cannot be 0"))
    }

    @Test func whatIsNotYAMLIsToldWithItsLine() {
        guard case .notYAML(.file(_, let line), _) = problem("listen: [\ncaps: }\n") else {
            Issue.record("gave \(String(describing: problem("listen: [")))")
            return
        }
        #expect(line == 2)
        #expect(problem("- a\n- b\n")?.reason == "ConfigurationNotYAML")
        #expect(problem("just words")?.reason == "ConfigurationNotYAML")
    }

    @Test func aKeyGivenTwiceIsRefused() {
        #expect(
            problem("listen: 127.0.0.1:1\nlog:\nlisten: 127.0.0.1:2\n")
                == .givenTwice(.file(path: "/etc/lectern/lectern.yaml", line: 3), key: "listen"))
    }

    @Test func valuesFromTheFileCannotPutControlCharactersIntoMessages() {
        let message = problem(#"listen: "a\u001b[2Jb\n""#)?.message ?? ""
        #expect(message.contains("listen cannot be a"))
        #expect(!message.unicodeScalars.contains { $0.value < 32 })
    }

    @Test func aMissingFileSaysSo() {
        #expect(throws: ConfigurationProblem.unreadable(path: "/nowhere/lectern.yaml", why: "there is no such file")) {
            try Configuration.load(path: "/nowhere/lectern.yaml")
        }
    }

    @Test func optionsAreCheckedAsKeysAre() throws {
        var configuration = Configuration()
        try configuration.set("listen", to: "[::1]:0", origin: "--listen")
        #expect(configuration.listen == ListenAddress(host: "::1", port: 0))
        #expect(configuration.listen.description == "[::1]:0")
        #expect(throws: ConfigurationProblem.self) { try configuration.set("listen", to: "nonsense", origin: "--listen") }
    }

    @Test func whatDoesNotFitTogetherIsRefused() throws {
        var configuration = Configuration()
        try configuration.check()
        configuration.tls.certificate = "/c.pem"
        #expect(throws: ConfigurationProblem.self) { try configuration.check() }
        configuration = try parse("caps: {labLifetimeMinutes: 100, labLifetimeMaximumMinutes: 50}")
        #expect(throws: ConfigurationProblem.self) { try configuration.check() }
        configuration = try parse("listen: 127.0.0.1:6443")
        #expect(throws: ConfigurationProblem.self) { try configuration.check() }
    }
}
