// The kubectl of 2017: what it does with a command line, and what it leaves alone.
import Essentials
import Kubeadm
import Testing

@Suite struct ClassicKubectlTests {
    private func decide(_ words: String) -> ClassicKubectl.Action { ClassicKubectl.decide(words.split(separator: " ").map(String.init)) }

    private func created(_ words: String) -> (object: JSON, options: [String], note: String)? {
        if case .create(let object, let options, let note) = decide(words) { (object, options, note) } else { nil }
    }

    @Test func runMakesADeploymentWithItsLabel() throws {
        let made = try #require(created("run pingpong --image alpine ping -c 3 8.8.8.8"))
        #expect(made.object["kind"] == "Deployment" && made.object["spec"]?["replicas"] == 1)
        #expect(made.object[path: ["spec", "selector", "matchLabels"]] == ["run": "pingpong"])
        let container = made.object[path: ["spec", "template", "spec", "containers"]]?[0]
        #expect(container?["image"] == "alpine" && container?["args"] == ["ping", "-c", "3", "8.8.8.8"])
        #expect(made.note == "kubectl of today: kubectl create deployment pingpong --image=alpine -- ping -c 3 8.8.8.8")
    }

    @Test func flagsOfRunAreUnderstood() throws {
        let made = try #require(created("-n other run web --image=nginx --replicas=4 -l app=web,tier=front --port=80 --env=A=1 --env B=2"))
        #expect(made.object["spec"]?["replicas"] == 4 && made.options == ["-n", "other"])
        #expect(made.object[path: ["spec", "template", "metadata", "labels"]] == ["app": "web", "tier": "front"])
        let container = made.object[path: ["spec", "template", "spec", "containers"]]?[0]
        #expect(container?["ports"] == [["containerPort": 80]])
        #expect(container?["env"] == [["name": "A", "value": "1"], ["name": "B", "value": "2"]])
    }

    @Test func exposingMakesAServiceToo() throws {
        let made = try #require(created("run web --image=nginx --port=80 --expose"))
        #expect(made.object["kind"] == "List" && made.object["items"]?[0]?["kind"] == "Service")
        #expect(made.object["items"]?[0]?["spec"]?["selector"] == ["run": "web"])
    }

    @Test func restartPoliciesAndSchedulesMakeOtherKinds() throws {
        #expect(try #require(created("run j --image=busybox --restart=OnFailure -- echo hi")).object["kind"] == "Job")
        let made = try #require(created("run c --image=busybox --schedule=5_*_*_*_* --restart=OnFailure -- date"))
        #expect(made.object["kind"] == "CronJob" && made.object["spec"]?["schedule"] == "5_*_*_*_*")
        #expect(made.object[path: ["spec", "jobTemplate", "spec", "template", "spec", "restartPolicy"]] == "OnFailure")
    }

    @Test(arguments: [
        "get pods", "run p --image=busybox --restart=Never", "run -it --rm t --image=alpine sh", "run", "run x", "apply -f x.yaml",
        "run x --image=y --overrides={}", "logs -l run=x --tail 1", "get -o yaml deploy/x", "get -h", "-n x get svc",
        "run x --image=y --new-flag",
        "exec -it x -- run --image=z", "--help", "",
    ])
    func everythingElseIsLeftAlone(words: String) { #expect(decide(words) == .pass(words.split(separator: " ").map(String.init))) }

    @Test func bareGetListsTypesAndExportIsTakenOut() {
        #expect(decide("get") == .listTypes)
        #expect(decide("get deploy/rng -o yaml --export") == .export(["get", "deploy/rng"], yaml: true))
        #expect(decide("get deploy/rng --export -o=json") == .export(["get", "deploy/rng"], yaml: false))
        #expect(decide("get pods --export") == .pass(["get", "pods"]))
    }

    @Test func whatTheClusterAddedIsTakenAway() {
        let object: JSON = [
            "kind": "Deployment",
            "metadata": [
                "name": "rng", "namespace": "default", "uid": "u", "resourceVersion": "5", "generation": 1, "creationTimestamp": "t",
                "managedFields": [], "labels": ["run": "rng"],
            ],
            "spec": ["replicas": 1, "progressDeadlineSeconds": 600], "status": ["replicas": 1],
        ]
        let exported = ClassicKubectl.exported(["kind": "List", "items": [object]])["items"]?[0] ?? .null
        #expect(exported["metadata"] == ["name": "rng", "creationTimestamp": nil, "labels": ["run": "rng"]])
        #expect(exported["spec"] == ["replicas": 1] && exported["status"] == .emptyObject)
        let service: JSON = ["kind": "Service", "metadata": ["name": "s"], "spec": ["clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]]]
        #expect(ClassicKubectl.exported(service)["spec"] == .emptyObject)
    }
}
