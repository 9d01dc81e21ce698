// Kubeconfigs, and files of tokens and certificates that change while they are used.
import Access
import ClusterClient
import ClusterModel
import ClusterWire
import Crypto
import Essentials
import Testing
import Web

@Suite struct ConfigurationTests {
    private func text(user: String = "client-certificate: c.crt\n    client-key: /k.key") -> String {
        """
        apiVersion: v1
        kind: Config
        current-context: b
        clusters:
        - name: one
          cluster:
            server: https://10.0.0.1:6443
            certificate-authority-data: \(Base64.encode(Array("CA".utf8)))
        contexts:
        - name: a
          context: {cluster: none, user: none}
        - name: b
          context: {cluster: one, user: me, namespace: work}
        users:
        - name: me
          user:
            \(user)
        """
    }

    @Test func theCurrentContextIsRead() throws {
        let configuration = try ClusterConfiguration(kubeconfigText: text(), folder: "/etc/kube")
        #expect(configuration.server == "https://10.0.0.1:6443" && configuration.authority == .text("CA"))
        #expect(configuration.certificate == .file("/etc/kube/c.crt") && configuration.key == .file("/k.key"))
        #expect(configuration.namespace == "work" && configuration.token == nil)
        #expect(try ClusterConfiguration(kubeconfigText: text(user: "token: abc")).token == .text("abc"))
    }

    @Test func whatIsMissingIsNamed() {
        func failure(_ body: () throws -> ClusterConfiguration) -> String {
            do {
                _ = try body()
                return ""
            } catch {
                return (error as? WireProblem)?.message ?? ""
            }
        }
        #expect(failure { try ClusterConfiguration(kubeconfigText: text(), context: "a") }.contains("no cluster \"none\""))
        #expect(failure { try ClusterConfiguration(kubeconfigText: "{") }.contains("yaml"))
        #expect(failure { try ClusterConfiguration(kubeconfigText: "a: b") }.contains("current-context"))
        #expect(failure { try ClusterConfiguration(kubeconfig: "/nowhere/config") }.contains("No such file"))
        #expect(failure { try ClusterConfiguration(kubeconfigText: text(user: "client-key-data: '%%'")) }.contains("base64"))
    }

    @Test func filesThatChangeAreReadAgain() async throws {
        let live = try await LiveServer { settings, _ in
            settings.fixedTokens = [
                "first": UserInfo(name: "one", groups: ["system:authenticated"]),
                "second": UserInfo(name: "two", groups: ["system:authenticated"]),
            ]
        }
        var configuration = live.configuration()
        configuration.token = .file(live.folder.write("token", "first\n"))
        let client = ClusterClient(transport: try HTTPSTransport(configuration, timeoutSeconds: 10, recheckSeconds: 0))
        func name() async throws -> JSON? { try await client.create(.selfSubjectReviews, [:])["status"]?["userInfo"]?["username"] }
        #expect(try await name() == "one")
        _ = live.folder.write("token", "second, which is longer".replacing(", which is longer", with: "") + "\n\n")
        #expect(try await name() == "two")
        await live.stop()
    }
}
