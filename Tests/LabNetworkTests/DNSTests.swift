// Names: the Corefile, questions and answers byte by byte, and what a resolver in a pod relies on.
import ClusterModel
import Essentials
import Kernel
import Testing

@testable import ClusterDNS

@Suite struct DNSTests {
    static let corefile = """
        .:53 {
            errors
            health {
               lameduck 5s
            }
            ready
            kubernetes cluster.local in-addr.arpa ip6.arpa {
               pods insecure
               fallthrough in-addr.arpa ip6.arpa
               ttl 30
            }
            hosts {
               10.1.2.3 printer.school.test printer
               fallthrough
            }
            prometheus :9153
            forward . /etc/resolv.conf {
               max_concurrent 1000
            }
            cache 30 {
               disable success cluster.local
               disable denial cluster.local
            }
            loop
            reload
            loadbalance
        }
        shop.test:53 {
            forward . 10.9.9.9
        }
        """

    static let names = ServiceNames(
        services: [
            service("kubernetes", "default", "10.96.0.1", [["name": "https", "port": 443]]),
            service("web", "shop", "10.96.0.7", [["name": "http", "port": 80], ["name": "dns", "port": 53, "protocol": "UDP"]]),
            service("db", "shop", "None", [["name": "sql", "port": 5432]]),
            service("empty", "shop", "None", []),
            ["metadata": ["name": "docs", "namespace": "shop"], "spec": ["type": "ExternalName", "externalName": "docs.example.org"]],
            [
                "metadata": ["name": "alias", "namespace": "shop"],
                "spec": ["type": "ExternalName", "externalName": "web.shop.svc.cluster.local."],
            ],
        ],
        slices: [
            [
                "metadata": ["name": "db-1", "namespace": "shop", "labels": ["kubernetes.io/service-name": "db"]], "addressType": "IPv4",
                "ports": [["name": "sql", "port": 5432, "protocol": "TCP"]],
                "endpoints": [
                    ["addresses": ["10.32.1.5"], "hostname": "db-0", "conditions": ["ready": true]],
                    ["addresses": ["10.32.2.6"], "conditions": ["ready": true]],
                    ["addresses": ["10.32.2.7"], "conditions": ["ready": false]],
                ],
            ]
        ], namespaces: ["default", "shop", "kube-system"])

    static func service(_ name: String, _ namespace: String, _ address: String, _ ports: [JSON]) -> JSON {
        ["metadata": ["name": JSON(name), "namespace": JSON(namespace)], "spec": ["clusterIP": JSON(address), "ports": .array(ports)]]
    }

    static func resolver() throws -> NameResolver {
        let resolver = NameResolver()
        resolver.use(try Corefile(corefile)) { $0 == "/etc/resolv.conf" ? "nameserver 172.30.0.1\nsearch x\n" : nil }
        resolver.use(names, serial: 7)
        return resolver
    }

    static func query(_ name: String, _ type: UInt16, edns: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0]
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes += [0, UInt8(type >> 8), UInt8(type & 255), 0, 1]
        if edns { bytes += [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0] }
        return bytes
    }

    func ask(_ name: String, _ type: UInt16 = DNSType.a) throws -> DNSAnswer {
        guard case .question(let question) = DNSQuestion.read(Self.query(name, type)) else { throw Unexpected() }
        guard case .answer(let answer) = try Self.resolver().decide(question, at: 0).0 else { throw Unexpected() }
        return answer
    }

    struct Unexpected: Error {}

    func addresses(_ answer: DNSAnswer) -> Set<String> {
        Set(answer.answers.compactMap { if case .address(let address) = $0.data { address.description } else { nil } })
    }

    @Test func servicesHaveTheirAddress() throws {
        let answer = try ask("web.shop.svc.cluster.local")
        #expect(addresses(answer) == ["10.96.0.7"])
        #expect(answer.isAuthoritative && answer.code == .success && answer.answers[0].timeToLive == 30)
        #expect(addresses(try ask("Web.SHOP.svc.Cluster.Local")) == ["10.96.0.7"])
    }

    @Test func headlessServicesHaveTheirReadyEndpoints() throws {
        #expect(addresses(try ask("db.shop.svc.cluster.local")) == ["10.32.1.5", "10.32.2.6"])
        #expect(addresses(try ask("db-0.db.shop.svc.cluster.local")) == ["10.32.1.5"])
        #expect(addresses(try ask("10-32-2-6.db.shop.svc.cluster.local")) == ["10.32.2.6"])
        #expect(try ask("db-1.db.shop.svc.cluster.local").code == .nameError)
        #expect(try ask("empty.shop.svc.cluster.local").code == .nameError)
    }

    /// musl gives up a search when a suffix answers anything but "no such name", and glibc when AAAA fails where A would not.
    @Test func whatIsMissingIsDeniedAsResolversNeedIt() throws {
        for name in ["web.shop.svc.cluster.local", "shop.svc.cluster.local", "svc.cluster.local", "cluster.local"] {
            let answer = try ask(name, DNSType.aaaa)
            #expect(answer.code == .success && answer.answers.isEmpty && answer.authority.first?.type == DNSType.soa, "\(name)")
        }
        for name in [
            "nope.shop.svc.cluster.local", "web.nope.svc.cluster.local", "example.org.default.svc.cluster.local",
            "example.org.cluster.local",
        ] {
            for type in [DNSType.a, DNSType.aaaa] {
                let answer = try ask(name, type)
                #expect(answer.code == .nameError && answer.authority.first?.name == "cluster.local", "\(name)")
            }
        }
    }

    @Test func portsHaveServers() throws {
        let web = try ask("_http._tcp.web.shop.svc.cluster.local", DNSType.srv)
        #expect(web.answers.map(\.data) == [.service(priority: 0, weight: 100, port: 80, target: "web.shop.svc.cluster.local")])
        #expect(web.additional.map(\.data) == [.address(IPv4("10.96.0.7")!)])
        let database = try ask("_sql._tcp.db.shop.svc.cluster.local", DNSType.srv)
        #expect(
            Set(database.answers.map(\.data)) == [
                .service(priority: 0, weight: 50, port: 5432, target: "db-0.db.shop.svc.cluster.local"),
                .service(priority: 0, weight: 50, port: 5432, target: "10-32-2-6.db.shop.svc.cluster.local"),
            ])
        #expect(try ask("_http._udp.web.shop.svc.cluster.local", DNSType.srv).code == .nameError)
    }

    @Test func externalNamesAreFollowedAsFarAsTheClusterKnows() throws {
        let inside = try ask("alias.shop.svc.cluster.local")
        #expect(inside.answers.map(\.type) == [DNSType.cname, DNSType.a])
        guard case .question(let question) = DNSQuestion.read(Self.query("docs.shop.svc.cluster.local", DNSType.a)) else {
            throw Unexpected()
        }
        guard case .forward(let upstream, let name, let before, _) = try Self.resolver().decide(question, at: 0).0 else {
            throw Unexpected()
        }
        #expect(upstream.servers == [InternetEndpoint(IPv4("172.30.0.1")!, 53)] && name == "docs.example.org" && before.count == 1)
    }

    @Test func addressesHaveNames() throws {
        func reverse(_ name: String) throws -> [DNSRecord.Data] { try ask(name + ".in-addr.arpa", DNSType.ptr).answers.map(\.data) }
        #expect(try reverse("7.0.96.10") == [.name(DNSType.ptr, "web.shop.svc.cluster.local")])
        #expect(try reverse("5.1.32.10") == [.name(DNSType.ptr, "db-0.db.shop.svc.cluster.local")])
        // Others may know what the cluster does not.
        #expect(throws: Unexpected.self) { try reverse("9.9.9.9") }
    }

    @Test func podsAndHostsAndTheRest() throws {
        #expect(addresses(try ask("10-32-1-5.shop.pod.cluster.local")) == ["10.32.1.5"])
        #expect(try ask("10-32-1-5.nope.pod.cluster.local").code == .nameError)
        #expect(addresses(try ask("printer.school.test")) == ["10.1.2.3"])
        #expect(try ask("dns-version.cluster.local", DNSType.txt).answers.map(\.data) == [.text("1.1.0")])
        guard case .question(let question) = DNSQuestion.read(Self.query("a.shop.test", DNSType.a)) else { throw Unexpected() }
        guard case .forward(let upstream, _, _, _) = try Self.resolver().decide(question, at: 0).0 else { throw Unexpected() }
        #expect(upstream.servers == [InternetEndpoint(IPv4("10.9.9.9")!, 53)])
    }

    @Test func anAnswerIsTheseBytes() throws {
        guard case .question(let question) = DNSQuestion.read(Self.query("web.shop.svc.cluster.local", DNSType.a, edns: true)) else {
            throw Unexpected()
        }
        #expect(question.payloadBytes == 4096 && question.hasEDNS)
        let bytes = try ask("web.shop.svc.cluster.local").bytes(to: question, limit: 1232)
        let expected: [UInt8] =
            [0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 1] + question.section  // id, flags qr aa rd ra, counts, question
            + [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 96, 0, 7]  // a pointer to the question's name, A, IN, 30 s, the address
            + [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0]  // EDNS, 1232 bytes
        #expect(bytes == expected)
    }

    @Test func whatDoesNotFitIsMarked() throws {
        guard case .question(let question) = DNSQuestion.read(Self.query("a.b", DNSType.a)) else { throw Unexpected() }
        let records = (0..<100).map { DNSRecord("a.b", 5, .address(IPv4(UInt32($0)))) }
        let bytes = DNSAnswer(records: records).bytes(to: question, limit: 512)
        #expect(bytes.count <= 512 && bytes[2] & 0x02 != 0)
        #expect(Int(bytes[6]) << 8 | Int(bytes[7]) == (512 - 12 - question.section.count) / 16)
        #expect(DNSAnswer(records: records).bytes(to: question, limit: 65_535)[7] == 100)
    }

    @Test func anyBytesAreReadWithoutHarm() throws {
        var generator = SystemRandomNumberGenerator()
        let resolver = try Self.resolver()
        let good = [
            Self.query("web.shop.svc.cluster.local", DNSType.a, edns: true), Self.query("a.very.long.name.example.org", 255),
            [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xC0, 12, 0, 1, 0, 1],  // a name that points at itself
        ]
        for round in 0..<20_000 {
            var bytes = good[round % good.count]
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0...min(bytes.count, round % 5), using: &generator))
            _ = AnswerCache.inspect(bytes)
            if case .question(let question) = DNSQuestion.read(bytes), case .answer(let answer) = resolver.decide(question, at: 0).0 {
                let written = answer.bytes(to: question, limit: 512)
                #expect(written.count >= 12 && written.count <= 512)
            }
            if bytes.count >= 12, case .question(let question) = DNSQuestion.read(good[0]) {
                bytes[4] = 0
                bytes[5] = 1
                _ = DNSServer.rewritten(bytes, question, question.name, [])
            }
        }
    }

    @Test func keptAnswersGrowOld() throws {
        guard case .question(let question) = DNSQuestion.read(Self.query("a.example", DNSType.a)) else { throw Unexpected() }
        let bytes = DNSAnswer(isAuthoritative: false, [DNSRecord("a.example", 300, .address(IPv4(1)))]).bytes(to: question, limit: 512)
        let resolver = try Self.resolver()
        guard case .forward(_, _, _, let block) = resolver.decide(question, at: 0).0 else { throw Unexpected() }
        resolver.keep(bytes, for: question, block, at: 100)
        guard case .bytes(let kept) = resolver.decide(question, at: 110).0 else { throw Unexpected() }
        #expect(kept.suffix(10).prefix(4) == [0, 0, 0x01, 0x22])
        guard case .forward = resolver.decide(question, at: 131).0 else { throw Unexpected() }
    }

    @Test func corefilesThatCannotBeUsedSayWhere() {
        #expect(throws: CorefileProblem.unknownPlugin(line: 2, name: "quantum")) { try Corefile(".:53 {\n  quantum\n}\n") }
        #expect(throws: CorefileProblem.self) { try Corefile(".:53 {\n errors\n") }
        #expect(throws: CorefileProblem.self) { try Corefile("") }
    }
}
