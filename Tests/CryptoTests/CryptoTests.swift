// Hashes, encodings and certificates.
import Crypto
import Essentials
import Testing

@Suite struct CryptoTests {
    @Test func hashesMatchTheStandardsExamples() {
        #expect(Hex.encode(Hash.sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(Hex.encode(Hash.sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        // RFC 4231, case 2.
        let mac = Hash.hmacSHA256(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8))
        #expect(Hex.encode(mac) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let stream = HashStream()
        stream.update(Array("a".utf8))
        stream.update("bc".utf8)
        #expect(stream.finish() == Hash.sha256("abc"))
    }

    @Test func secretsCompareAsAWhole() {
        #expect(Hash.constantTimeEquals("secret", "secret"))
        #expect(!Hash.constantTimeEquals("secret", "secreT"))
        #expect(!Hash.constantTimeEquals("secret", "secret "))
        #expect(Hash.constantTimeEquals([UInt8](), []))
        #expect(SecureRandom.bytes(32) != SecureRandom.bytes(32))
    }

    @Test(arguments: ["", "f", "fo", "foo", "foob", "fooba", "foobar"])
    func base64GoesThereAndBack(text: String) {
        let bytes = Array(text.utf8)
        #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        #expect(Base64.decode(Base64.encodeURL(bytes)) == bytes)
        #expect(Hex.decode(Hex.encode(bytes)) == bytes)
    }

    @Test func encodingsRefuseWhatIsNotTheirs() {
        #expect(Base64.encode(Array("fooba".utf8)) == "Zm9vYmE=")
        #expect(Base64.encodeURL([0xFB, 0xFF]) == "-_8")
        #expect(Base64.decode("a") == nil)
        #expect(Base64.decode("Zm9v!") == nil)
        #expect(Base64.decode("Zm9vYg=") == nil)
        #expect(Base64.decode("Z=9v") == nil)
        #expect(Hex.decode("abc") == nil)
        #expect(Hex.decode("zz") == nil)
    }

    @Test func anAuthorityIssuesWhatItVouchesFor() throws {
        let authority = try CertificateAuthority(commonName: "lectern-ca")
        let client = try authority.issueClient(commonName: "admin", organizations: ["system:masters", "people"])
        #expect(client.certificate.commonName == "admin")
        #expect(client.certificate.organizations == ["system:masters", "people"])
        #expect(client.certificate.isValid(under: authority.certificate))
        let server = try authority.issueServer(commonName: "lectern", names: ["localhost", "127.0.0.1", "::1", "*.ports.example"])
        #expect(server.certificate.isValid(under: authority.certificate))
        #expect(throws: CryptoProblem.nameIsAuthoritys) { try authority.issueServer(commonName: "lectern-ca", names: ["a"]) }
        let stranger = try CertificateAuthority(commonName: "lectern-ca")
        #expect(!client.certificate.isValid(under: stranger.certificate))
    }

    @Test func keysAndCertificatesSurviveAsPEM() throws {
        let authority = try CertificateAuthority(commonName: "lectern-ca")
        let again = try CertificateAuthority(certificatePEM: authority.certificate.pem, keyPEM: authority.identity.key.pem)
        #expect(again.certificate.der == authority.certificate.der)
        #expect(again.certificate.publicKeyHash == authority.certificate.publicKeyHash)
        let client = try again.issueClient(commonName: "late")
        #expect(client.certificate.isValid(under: authority.certificate))
        #expect(client.certificate.expiresAt > SystemClock().now().adding(seconds: 364 * 86400))
        #expect(throws: CryptoProblem.unreadable(what: "certificate")) { try Certificate(pem: "nonsense") }
        #expect(throws: CryptoProblem.unreadable(what: "private key")) { try PrivateKey(pem: client.certificate.pem) }
        #expect(throws: CryptoProblem.unreadable(what: "host name")) { try authority.issueServer(commonName: "x", names: ["a,DNS:b"]) }
    }
}
