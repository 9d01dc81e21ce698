// Bootstrap tokens: their form, their Secrets, and the signature that vouches for the cluster-info.
import Crypto
import Essentials
import Kubeadm
import Testing

@Suite struct BootstrapTokenTests {
    private let token = BootstrapToken(id: "abcdef", secret: "0123456789abcdef")

    @Test func aTokenIsReadBackFromItsText() throws {
        #expect(try BootstrapToken.parse("abcdef.0123456789abcdef") == token)
        #expect(token.description == "abcdef.0123456789abcdef")
    }

    @Test(arguments: ["", "abcdef", "abcdef.0123", "ABCDEF.0123456789abcdef", "abcdef.0123456789abcdef.x", "abcde-.0123456789abcdef"])
    func whatIsNoTokenIsRefusedInUpstreamsWords(text: String) {
        #expect {
            _ = try BootstrapToken.parse(text)
        } throws: { error in
            (error as? KubeadmProblem)?.message
                == "the bootstrap token \"\(text)\" was not of the form \"\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z\""
        }
    }

    @Test func randomTokensAreTokensAndDiffer() throws {
        let made = (0..<50).map { _ in BootstrapToken.random() }
        for token in made { #expect(try BootstrapToken.parse(token.description) == token) }
        #expect(Set(made).count == 50)
    }

    @Test func aSignatureIsADetachedJWSWithTheTokensIDAsKey() {
        let signature = token.signature(of: "content")
        let parts = signature.split(separator: ".", omittingEmptySubsequences: false)
        #expect(parts.count == 3 && parts[1].isEmpty)
        #expect(Base64.decode(String(parts[0])).map { String(decoding: $0, as: UTF8.self) } == "{\"alg\":\"HS256\",\"kid\":\"abcdef\"}")
        #expect(token.verifies(signature, of: "content"))
    }

    @Test func aSignatureHoldsForItsContentAndItsTokenOnly() {
        let signature = token.signature(of: "content")
        #expect(!token.verifies(signature, of: "content "))
        #expect(!BootstrapToken(id: "abcdef", secret: "fedcba9876543210").verifies(signature, of: "content"))
        #expect(!BootstrapToken(id: "fedcba", secret: "0123456789abcdef").verifies(signature, of: "content"))
        for broken in ["", "a.b.c", "..", signature + "x", signature.replacing("..", with: ".eA.")] {
            #expect(!token.verifies(broken, of: "content"))
        }
    }

    @Test func theSecretSaysWhenATokenEndsAndWhatItIsFor() {
        var settings = TokenSettings(token: token)
        settings.description = "for the lesson"
        let secret = settings.secret(now: Timestamp(seconds: 1_800_000_000))
        func value(_ key: String) -> String? {
            secret["data"]?[key]?.string.flatMap(Base64.decode).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(secret["metadata"]?["name"] == "bootstrap-token-abcdef" && secret["type"] == "bootstrap.kubernetes.io/token")
        #expect(value("token-id") == "abcdef" && value("token-secret") == "0123456789abcdef")
        #expect(value("expiration") == Timestamp(seconds: 1_800_086_400).rfc3339)
        #expect(value("usage-bootstrap-signing") == "true" && value("usage-bootstrap-authentication") == "true")
        #expect(value("auth-extra-groups") == "system:bootstrappers:kubeadm:default-node-token" && value("description") == "for the lesson")
        settings.seconds = 0
        #expect(settings.secret(now: Timestamp(seconds: 0))["data"]?["expiration"] == nil)
    }

    @Test func sealedCertificatesOpenWithTheirKeyOnly() throws {
        let key = SecureRandom.bytes(SealedBox.keyBytes)
        var sealed = try SealedBox.seal(Array("secret".utf8), key: key)
        #expect(SealedBox.open(sealed, key: key) == Array("secret".utf8))
        #expect(SealedBox.open(sealed, key: SecureRandom.bytes(SealedBox.keyBytes)) == nil)
        sealed[14] ^= 1
        #expect(SealedBox.open(sealed, key: key) == nil)
        #expect(SealedBox.open([1, 2, 3], key: key) == nil)
    }
}
