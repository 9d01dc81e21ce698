// What the kinds refuse, with upstream's sentences.
import ClusterModel
import Essentials
import Testing

@Suite struct KindRuleTests {
    private static let template: JSON = [
        "metadata": ["labels": ["app": "web"]], "spec": ["containers": [["name": "main", "image": "web:1"]]],
    ]
    private static let selector: JSON = ["matchLabels": ["app": "web"]]

    private func problems(_ kind: Kind, _ spec: JSON, name: String = "x") throws -> [String] {
        try KindTests.make(kind, ["metadata": ["name": JSON(name)], "spec": spec]).causes.map { "\($0.field): \($0.message)" }
    }

    /// What an update of a valid object says.
    private func changed(_ kind: Kind, _ spec: JSON, _ change: (inout JSON) -> Void) throws -> [String] {
        let old = try KindTests.make(kind, ["metadata": ["name": "x"], "spec": spec]).object
        var new = old
        change(&new)
        Defaulting().apply(to: &new, as: kind.type)
        kind.applyDefaults(&new)
        return kind.check(new, old).map { "\($0.field): \($0.message)" }
    }

    @Test func workloadsNeedASelectorThatFitsAndStays() throws {
        let spec: JSON = ["selector": Self.selector, "template": Self.template]
        #expect(
            try problems(.deployment, ["template": Self.template]) == [
                "spec.selector: Required value",
                #"spec.template.metadata.labels: Invalid value: map[string]string{"app":"web"}: `selector` does not match template `labels`"#,
            ])
        #expect(
            try problems(.daemonSet, ["selector": .emptyObject, "template": Self.template]) == [
                "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: empty selector is invalid for daemonset"
            ])
        for kind in [Kind.deployment, .replicaSet, .daemonSet] {
            let found = try changed(kind, spec) {
                $0[path: ["spec", "selector", "matchLabels", "app"]] = "b"
                $0[path: ["spec", "template", "metadata", "labels", "app"]] = "b"
            }
            #expect(
                found == [
                    #"spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"app":"b"}, MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable"#
                ])
        }
        #expect(
            try changed(.statefulSet, spec) { $0[path: ["spec", "serviceName"]] = "other" }[0].hasPrefix(
                "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy'"))
        #expect(try changed(.statefulSet, spec) { $0[path: ["spec", "replicas"]] = 3 }.isEmpty)
    }

    @Test func strategiesFitTogether() throws {
        var spec: JSON = ["selector": Self.selector, "template": Self.template]
        spec["strategy"] = ["rollingUpdate": ["maxUnavailable": 0, "maxSurge": "0%"]]
        #expect(
            try problems(.deployment, spec) == [
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}: may not be 0 when `maxSurge` is 0"
            ])
        spec["strategy"] = ["type": "Recreate", "rollingUpdate": ["maxSurge": 1]]
        #expect(
            try problems(.deployment, spec) == [
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
            ])
        spec["strategy"] = ["rollingUpdate": ["maxSurge": "x"]]
        #expect(try problems(.deployment, spec)[0].contains("a valid percent string must be a numeric string followed by an ending '%'"))
        spec["strategy"] = nil
        spec["replicas"] = -1
        spec["minReadySeconds"] = 700
        #expect(
            try problems(.deployment, spec) == [
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
                "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
            ])
    }

    @Test func restartPoliciesFitTheWorkload() throws {
        var template = Self.template
        template[path: ["spec", "restartPolicy"]] = "Never"
        #expect(
            try problems(.replicaSet, ["selector": Self.selector, "template": template]) == [
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""
            ])
        #expect(
            try problems(.job, ["template": Self.template]) == [
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""
            ])
        #expect(try problems(.job, ["template": template]).isEmpty)
    }

    @Test(arguments: [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"), ("61 * * * *", "end of range (61) above maximum (59): 61"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 5-1", "beginning of range (5) beyond end of range (1): 5-1"),
        ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
        ("@never", "unrecognized descriptor: @never"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
    ])
    func schedulesAreRead(schedule: String, why: String) throws {
        var template = Self.template
        template[path: ["spec", "restartPolicy"]] = "Never"
        let found = try problems(.cronJob, ["schedule": JSON(schedule), "jobTemplate": ["spec": ["template": template]]])
        #expect(found == ["spec.schedule: Invalid value: \(JSON(schedule).text): \(why)"])
    }

    @Test(arguments: ["*/5 * * * *", "0 9-17 * * mon-fri", "@hourly", "@every 1h30m", "0,30 * 1-15/2 jan,jul *"])
    func goodSchedulesPass(schedule: String) { #expect(CronSchedule.problem(schedule) == nil) }

    @Test func aCronJobsTemplateIsNotGivenAJobsDefaults() throws {
        var template = Self.template
        template[path: ["spec", "restartPolicy"]] = "Never"
        let made = try KindTests.make(
            .cronJob, ["metadata": ["name": "x"], "spec": ["schedule": "@daily", "jobTemplate": ["spec": ["template": template]]]])
        #expect(made.object["spec"]?["jobTemplate"]?["spec"]?["completions"] == nil)
        #expect(made.object["spec"]?["concurrencyPolicy"] == "Allow")
    }

    @Test func jobsKnowTheirPods() throws {
        var template = Self.template
        template[path: ["spec", "restartPolicy"]] = "Never"
        let job = try KindTests.make(.job, ["metadata": ["name": "x"], "spec": ["template": template]]).object
        #expect(job["spec"]?["selector"] == ["matchLabels": ["batch.kubernetes.io/controller-uid": "u"]])
        #expect(job["spec"]?["template"]?["metadata"]?["labels"]?["batch.kubernetes.io/job-name"] == "x")
        #expect(job["spec"]?["completions"] == 1)
        #expect(job["spec"]?["backoffLimit"] == 6)
        #expect(job["metadata"]?["labels"] == ["app": "web"])
        var new = job
        new[path: ["spec", "template", "spec", "containers"]] = [["name": "other", "image": "x"]]
        #expect(Kind.job.check(new, job).map(\.field) == ["spec.template"])
    }

    @Test func servicesAreChecked() throws {
        #expect(try problems(.service, .emptyObject) == ["spec.ports: Required value"])
        #expect(try problems(.service, ["clusterIP": "None"]).isEmpty)
        #expect(
            try problems(.service, ["ports": [["port": 80], ["port": 80]]]).contains(
                "spec.ports[1]: Duplicate value: core.ServicePort{Name:\"\", Protocol:\"TCP\", AppProtocol:(*string)(nil), Port:80, TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}, NodePort:0}"
            ))
        #expect(
            try problems(.service, ["ports": [["port": 80, "nodePort": 30000]]]) == [
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"
            ])
        #expect(try problems(.service, ["type": "ExternalName"]) == ["spec.externalName: Required value"])
        #expect(
            try problems(.service, ["ports": [["port": 80]]], name: "1a")[0].hasPrefix(
                "metadata.name: Invalid value: \"1a\": a DNS-1035 label"))
        #expect(
            try changed(.service, ["clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.5"], "ports": [["port": 80]]]) {
                $0[path: ["spec", "clusterIP"]] = "10.96.0.6"
                $0[path: ["spec", "clusterIPs"]] = ["10.96.0.6"]
            } == ["spec.clusterIPs[0]: Invalid value: []string{\"10.96.0.6\"}: may not change once set"])
        let made = try KindTests.make(.service, ["metadata": ["name": "x"], "spec": ["type": "LoadBalancer", "ports": [["port": 80]]]])
            .object
        #expect(made["spec"]?["ports"] == [["port": 80, "protocol": "TCP", "targetPort": 80]])
        #expect(made["spec"]?["externalTrafficPolicy"] == "Cluster")
        #expect(made["spec"]?["allocateLoadBalancerNodePorts"] == true)
        var plain = made
        plain[path: ["spec", "type"]] = "ClusterIP"
        Kind.service.prepareUpdate(&plain, made)
        #expect(plain["spec"]?["externalTrafficPolicy"] == nil)
        #expect(plain["spec"]?["allocateLoadBalancerNodePorts"] == nil)
    }

    @Test func claimsAndVolumesStayAsTheyAre() throws {
        let spec: JSON = ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "2Gi"]]]
        #expect(
            try problems(.persistentVolumeClaim, .emptyObject) == [
                "spec.accessModes: Required value: at least 1 access mode is required", "spec.resources[storage]: Required value",
            ])
        #expect(
            try changed(.persistentVolumeClaim, spec) { $0[path: ["spec", "accessModes"]] = ["ReadWriteMany"] }[0].hasPrefix(
                "spec: Forbidden: spec is immutable after creation except resources.requests"))
        #expect(try changed(.persistentVolumeClaim, spec) { $0[path: ["spec", "volumeName"]] = "v" }.isEmpty)
        #expect(
            try problems(.persistentVolume, ["accessModes": ["ReadWriteOnce"], "capacity": ["storage": "1Gi"]]) == [
                "spec: Required value: must specify a volume type"
            ])
        let volume: JSON = ["accessModes": ["ReadWriteOnce"], "capacity": ["storage": "1Gi"], "hostPath": ["path": "/a"]]
        #expect(
            try changed(.persistentVolume, volume) { $0[path: ["spec", "hostPath", "path"]] = "/b" } == [
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"
            ])
    }

    @Test func aBindingKeepsItsRole() throws {
        let document: JSON = [
            "metadata": ["name": "x"], "roleRef": ["kind": "Role", "name": "a"], "subjects": [["kind": "ServiceAccount", "name": "s"]],
        ]
        let made = try KindTests.make(.roleBinding, document)
        #expect(made.causes.map { "\($0.field): \($0.message)" } == ["subjects[0].namespace: Required value"])
        var new = made.object
        new[path: ["roleRef", "name"]] = "b"
        #expect(
            Kind.roleBinding.check(new, made.object).last?.message
                == "Invalid value: rbac.RoleRef{APIGroup:\"rbac.authorization.k8s.io\", Kind:\"Role\", Name:\"b\"}: cannot change roleRef")
    }

    @Test func podsAreChecked() throws {
        let spec: JSON = [
            "containers": [
                [
                    "name": "a", "image": "x", "env": [["name": "a=b"], ["name": "D"], ["name": "D"]],
                    "ports": [["containerPort": 0], ["containerPort": 80, "name": "this-is-far-too-long"]],
                    "resources": ["requests": ["cpu": "2", "wrong": "1"], "limits": ["cpu": "1"]], "livenessProbe": ["periodSeconds": 1],
                    "readinessProbe": ["httpGet": ["port": 80], "tcpSocket": ["port": 1]],
                    "volumeMounts": [["name": "v", "mountPath": "/x"], ["name": "none", "mountPath": "/x"]],
                ], ["name": "a"],
            ], "initContainers": [["name": "i", "image": "x", "livenessProbe": ["exec": ["command": ["true"]]]]],
            "volumes": [["name": "v", "emptyDir": .emptyObject], ["name": "w"]],
            "tolerations": [["value": "x"]], "nodeSelector": ["a b": "c"],
        ]
        let found = try problems(.pod, spec)
        for sentence in [
            "spec.containers[1].name: Duplicate value: \"a\"", "spec.containers[1].image: Required value",
            "spec.containers[0].ports[0].containerPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.containers[0].ports[1].name: Invalid value: \"this-is-far-too-long\": must be no more than 15 characters long",
            "spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            "spec.containers[0].resources.requests[wrong]: Invalid value: \"wrong\": must be a standard resource type or fully qualified",
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
            "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "spec.containers[0].volumeMounts[1].name: Not found: \"none\"",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/x\": must be unique",
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            "spec.volumes[1]: Required value: must specify a volume type",
            "spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
        ] { #expect(found.contains(sentence), "\(sentence)\n\(found.joined(separator: "\n"))") }
        #expect(!found.contains { $0.hasPrefix("spec.containers[0].env[2]") })
    }

    @Test func zerosThatMeanNothingGetTheDefault() throws {
        let pod = try KindTests.make(
            .pod,
            [
                "metadata": ["name": "x"],
                "spec": [
                    "restartPolicy": "", "terminationGracePeriodSeconds": 0,
                    "containers": [["name": "a", "image": "x", "livenessProbe": ["timeoutSeconds": 0, "exec": ["command": ["a"]]]]],
                ],
            ]
        ).object
        #expect(pod["spec"]?["restartPolicy"] == "Always")
        #expect(pod["spec"]?["terminationGracePeriodSeconds"] == 0)
        #expect(pod["spec"]?["containers"]?[0]?["livenessProbe"]?["timeoutSeconds"] == 1)
    }
}
