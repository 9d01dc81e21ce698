// Amounts, selectors, names, ages and the schema table.
import ClusterModel
import Essentials
import Testing

@Suite struct ModelTests {
    @Test(arguments: [
        ("0.5", "500m"), ("1024Mi", "1Gi"), ("1000m", "1"), ("1.5Gi", "1536Mi"), ("2e3", "2e3"), ("2E", "2E"), ("100", "100"),
        ("1500", "1500"), ("2000", "2k"),
        ("0", "0"), ("-1", "-1"), ("0.1", "100m"), ("1n", "1n"), ("1Ki", "1Ki"), ("1023", "1023"), ("5000Ki", "5000Ki"), ("3.0Mi", "3Mi"),
    ])
    func amountsAreWrittenInTheirCanonicalForm(text: String, canonical: String) throws {
        let quantity = try #require(Quantity(text))
        #expect(quantity.description == canonical)
        #expect(Quantity(canonical) == quantity)
    }

    @Test(arguments: ["", "x", "1x", "Mi", "1 Mi", "--1", "1.2.3", "1ee3", "99999999999999999999999999999999999Ei"])
    func whatIsNoAmountIsRefused(text: String) { #expect(Quantity(text) == nil) }

    @Test func amountsCompareAndAdd() throws {
        #expect(try #require(Quantity("1Gi")) > #require(Quantity("1G")))
        #expect(try #require(Quantity("100m")).milliValue == 100)
        #expect(try #require(Quantity("1.2")).value == 2)
        #expect((try #require(Quantity("512Mi")) + #require(Quantity("512Mi"))).description == "1Gi")
    }

    @Test func labelSelectorsSelect() throws {
        let labels = ["app": "web", "tier": "front", "n": "5"]
        for text in [
            "", "app=web", "app==web", "app!=db", "app in (web,db)", "x notin (a)", "tier", "!x", "app=web,tier=front", "n>4", "n<6",
            " app = web , tier ",
        ] {
            #expect(try LabelSelector(text: text).matches(labels), "\(text)")
        }
        for text in ["app=db", "app in (a)", "!app", "x", "n>5", "app=web,x", "app notin (web)"] {
            #expect(try !LabelSelector(text: text).matches(labels), "\(text)")
        }
        for text in ["a in", "a in (", "=b", "a=b,", "a b", "a=b c", "a>x"] {
            #expect(throws: ClusterProblem.self, "\(text)") { try LabelSelector(text: text) }
        }
    }

    @Test func fieldSelectorsSelect() throws {
        let pod: JSON = ["metadata": ["name": "a,b"], "spec": ["nodeName": "n1"], "status": ["phase": "Running"]]
        #expect(try FieldSelector(text: "spec.nodeName=n1,status.phase!=Failed").matches(pod))
        #expect(try !FieldSelector(text: "spec.nodeName!=n1").matches(pod))
        #expect(try FieldSelector(text: "metadata.name=a\\,b").matches(pod))
        #expect(throws: ClusterProblem.self) { try FieldSelector(text: "nonsense") }
    }

    @Test(arguments: [
        (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (600, "10m"), (10_799, "179m"), (10_800, "3h"), (11_000, "3h3m"),
        (100_000, "27h"),
        (200_000, "2d7h"), (864_000, "10d"), (86_400 * 800, "2y70d"), (-5, "<invalid>"),
    ])
    func agesReadAsKubectlWritesThem(seconds: Int64, text: String) { #expect(Age.text(seconds: seconds) == text) }

    @Test func everyTypeThatIsNamedExists() {
        let table = TypeTable.builtIn
        for name in table.names {
            guard let type = table[name] else {
                Issue.record("no type \(name)")
                continue
            }
            #expect(!type.doc.isEmpty, "\(name)")
            var numbers: Set<[Int]> = []
            for field in type.fields {
                #expect(!field.doc.isEmpty, "\(name).\(field.name)")
                if field.number > 0 { #expect(numbers.insert([field.embeddedIn ?? 0, field.number]).inserted, "\(name).\(field.name)") }
                if let below = Self.named(field.type) { #expect(table[below] != nil, "\(name).\(field.name): \(below)") }
                if let key = field.mergeKey, let below = Self.named(field.type) {
                    #expect(table[below]?.field(key) != nil, "\(name).\(field.name)")
                }
            }
        }
        for kind in Schema.host.kinds { #expect(table[kind.type] != nil, "\(kind.name)") }
    }

    static func named(_ type: FieldType) -> String? {
        switch type {
        case .named(let name): name
        case .list(let element), .map(let element): named(element)
        default: nil
        }
    }

    @Test func decodingNamesWhatItDoesNotKnow() throws {
        var decoding = Decoding()
        let pod = try decoding.decode(
            [
                "metadata": ["name": "a", "labels": [:]],
                "spec": ["containers": [["name": "c", "imagee": "x", "env": []]], "nodeName": nil], "extra": 1,
            ],
            as: "Pod")
        #expect(decoding.unknownFields == ["spec.containers[0].imagee", "extra"])
        #expect(pod == ["metadata": ["name": "a"], "spec": ["containers": [["name": "c"]]]])
    }

    @Test func namesFollowTheRules() {
        #expect(NameRules.label("a-b1").isEmpty)
        for name in ["", "A", "a_b", "-a", "a-", "a.b", String(repeating: "a", count: 64)] {
            #expect(!NameRules.label(name).isEmpty, "\(name)")
        }
        #expect(NameRules.subdomain("a.b-c.d").isEmpty)
        for name in ["", "a..b", ".a", "a.", "A.b"] { #expect(!NameRules.subdomain(name).isEmpty, "\(name)") }
        #expect(NameRules.qualifiedName("example.com/Name_1").isEmpty)
        for key in ["", "/a", "a/", "a/b/c", "ä", "Example.com/x"] { #expect(!NameRules.qualifiedName(key).isEmpty, "\(key)") }
        #expect(NameRules.labelValue("").isEmpty)
        #expect(!NameRules.labelValue("a b").isEmpty)
    }

    @Test func podsShowTheStateOfTheirContainers() {
        let now = Timestamp(rfc3339: "2026-01-01T01:00:00Z") ?? Timestamp(seconds: 0)
        func status(_ statuses: JSON, phase: String = "Running", extra: JSON = .emptyObject) -> [JSON] {
            var pod: JSON = [
                "metadata": ["name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"],
                "spec": ["containers": [["name": "a"], ["name": "b"]], "nodeName": "n"],
                "status": ["phase": JSON(phase), "podIP": "10.0.0.1", "containerStatuses": statuses],
            ]
            if let deletion = extra["deletionTimestamp"] { pod["metadata"]?["deletionTimestamp"] = deletion }
            return Array(Kind.pod.cells(pod, now).prefix(7))
        }
        let running: JSON = ["ready": true, "restartCount": 0, "state": ["running": .emptyObject]]
        #expect(status([running, running]) == ["p", "2/2", "Running", "0", "60m", "10.0.0.1", "n"])
        let crashing: JSON = [
            "ready": false, "restartCount": 3, "state": ["waiting": ["reason": "CrashLoopBackOff"]],
            "lastState": ["terminated": ["finishedAt": "2026-01-01T00:59:00Z"]],
        ]
        #expect(status([running, crashing]) == ["p", "1/2", "CrashLoopBackOff", "3 (60s ago)", "60m", "10.0.0.1", "n"])
        #expect(status([["state": ["terminated": ["exitCode": 2]]]], phase: "Failed")[2] == "ExitCode:2")
        #expect(status([running, running], extra: ["deletionTimestamp": "2026-01-01T00:59:00Z"])[2] == "Terminating")
    }
}
