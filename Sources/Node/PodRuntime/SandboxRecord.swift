// What is written down about pods and containers, so that a kubelet that starts finds them again.
internal import ClusterModel
internal import Essentials
internal import Kernel
internal import Pods

struct SandboxRecord: Sendable, Hashable {
    var namespace: String
    var name: String
    var uid: String
    /// 64 hexadecimal digits: the sandbox as plugins know it.
    var id: String
    var hostname: String
    var group: String
    var qosClass: String
    var addresses: [String] = []
    var createdAt: Timestamp
    var isComplete = false
    var hostNetwork = false
    var hostPID = false
    var hostIPC = false
    /// The first process of the process id namespace that the containers share.
    var pauseProcess: Int32?

    var json: JSON {
        [
            "namespace": .string(namespace), "name": .string(name), "uid": .string(uid), "id": .string(id), "hostname": .string(hostname),
            "group": .string(group), "qosClass": .string(qosClass), "addresses": JSON(addresses),
            "createdAt": .string(createdAt.rfc3339Micro),
            "isComplete": .bool(isComplete), "hostNetwork": .bool(hostNetwork), "hostPID": .bool(hostPID), "hostIPC": .bool(hostIPC),
            "pauseProcess": JSON(pauseProcess.map(Int.init)),
        ]
    }

    init(_ plan: SandboxPlan, id: String, group: String, createdAt: Timestamp) {
        namespace = plan.namespace
        name = plan.name
        uid = plan.uid
        self.id = id
        hostname = plan.hostname
        self.group = group
        qosClass = plan.qosClass
        self.createdAt = createdAt
        hostNetwork = plan.hostNetwork
        hostPID = plan.hostPID
        hostIPC = plan.hostIPC
    }

    init?(_ json: JSON) {
        guard let namespace = json["namespace"]?.string, let name = json["name"]?.string, let uid = json["uid"]?.string,
            let id = json["id"]?.string, let group = json["group"]?.string,
            let createdAt = json["createdAt"]?.string.flatMap({ Timestamp(rfc3339: $0) })
        else { return nil }
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.id = id
        self.group = group
        self.createdAt = createdAt
        hostname = json["hostname"]?.string ?? name
        qosClass = json["qosClass"]?.string ?? "BestEffort"
        addresses = RuntimeConfiguration.strings(json["addresses"])
        isComplete = json["isComplete"]?.bool ?? false
        hostNetwork = json["hostNetwork"]?.bool ?? false
        hostPID = json["hostPID"]?.bool ?? false
        hostIPC = json["hostIPC"]?.bool ?? false
        pauseProcess = json["pauseProcess"]?.int.map { Int32(clamping: $0) }
    }
}

struct ContainerRecord: Sendable, Hashable {
    var name: String
    var attempt: Int
    var id: String
    var image: PulledImage
    var user: ContainerUser
    var capabilities: UInt64
    var environment: [String]
    var workingDirectory: String
    var gainsNoPrivileges: Bool
    var terminal: Bool
    var stdin: Bool
    var stdinOnce: Bool
    var startedAt: Timestamp

    var json: JSON {
        [
            "name": .string(name), "attempt": JSON(attempt), "id": .string(id),
            "image": [
                "reference": .string(image.reference), "id": .string(image.id), "sizeBytes": JSON(image.sizeBytes),
                "configuration": image.configuration,
            ],
            "user": JSON(Int(user.user)), "group": JSON(Int(user.group)), "groups": .array(user.groups.map { JSON(Int($0)) }),
            "capabilities": .string(String(capabilities, radix: 16)), "environment": JSON(environment),
            "workingDirectory": .string(workingDirectory), "gainsNoPrivileges": .bool(gainsNoPrivileges), "terminal": .bool(terminal),
            "stdin": .bool(stdin), "stdinOnce": .bool(stdinOnce), "startedAt": .string(startedAt.rfc3339Micro),
        ]
    }

    init(_ plan: PodContainerPlan, id: String, user: ContainerUser, capabilities: UInt64, hostname: String, startedAt: Timestamp) {
        name = plan.name
        attempt = plan.attempt
        self.id = id
        image = plan.image
        self.user = user
        self.capabilities = capabilities
        environment = RuntimeConfiguration.environment(plan, hostname: hostname)
        workingDirectory = RuntimeConfiguration.workingDirectory(plan)
        gainsNoPrivileges = plan.securityContext["allowPrivilegeEscalation"]?.bool == false
        terminal = plan.terminal
        stdin = plan.stdin
        stdinOnce = plan.stdinOnce
        self.startedAt = startedAt
    }

    init?(_ json: JSON) {
        guard let name = json["name"]?.string, let attempt = json["attempt"]?.int, let id = json["id"]?.string, let image = json["image"],
            let started = json["startedAt"]?.string.flatMap({ Timestamp(rfc3339: $0) })
        else { return nil }
        func number(_ value: JSON?) -> UInt32 { UInt32(clamping: value?.integer ?? 0) }
        self.name = name
        self.attempt = attempt
        self.id = id
        self.image = PulledImage(
            reference: image["reference"]?.string ?? "", id: image["id"]?.string ?? "", sizeBytes: image["sizeBytes"]?.integer ?? 0,
            configuration: image["configuration"] ?? .emptyObject)
        user = ContainerUser(
            user: number(json["user"]), group: number(json["group"]), groups: (json["groups"]?.array ?? []).map { number($0) })
        capabilities = UInt64(json["capabilities"]?.string ?? "", radix: 16) ?? 0
        environment = RuntimeConfiguration.strings(json["environment"])
        workingDirectory = json["workingDirectory"]?.string ?? "/"
        gainsNoPrivileges = json["gainsNoPrivileges"]?.bool ?? false
        terminal = json["terminal"]?.bool ?? false
        stdin = json["stdin"]?.bool ?? false
        stdinOnce = json["stdinOnce"]?.bool ?? false
        startedAt = started
    }
}

extension ContainerExit {
    var json: JSON {
        [
            "podUID": .string(podUID), "container": .string(container), "attempt": JSON(attempt), "exitCode": JSON(exitCode),
            "signal": JSON(signal), "isOutOfMemory": .bool(isOutOfMemory), "finishedAt": .string(finishedAt.rfc3339Micro),
        ]
    }

    init?(json: JSON) {
        guard let uid = json["podUID"]?.string, let container = json["container"]?.string, let attempt = json["attempt"]?.int,
            let code = json["exitCode"]?.int, let finished = json["finishedAt"]?.string.flatMap({ Timestamp(rfc3339: $0) })
        else { return nil }
        self.init(
            podUID: uid, container: container, attempt: attempt, exitCode: code, signal: json["signal"]?.int,
            isOutOfMemory: json["isOutOfMemory"]?.bool ?? false, finishedAt: finished)
    }
}
