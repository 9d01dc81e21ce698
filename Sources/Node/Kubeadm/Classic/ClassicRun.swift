// `kubectl run` as it was: a Deployment by default, a Job with `--restart=OnFailure`, a CronJob with `--schedule`.
internal import Essentials

struct ClassicRun {
    private var name = ""
    private var image: String?
    private var replicas = 1
    private var labels: [(String, String)]?
    private var restart: String?
    private var schedule: String?
    private var exposes = false
    private var port: Int?
    private var environment: [(String, String)] = []
    private var arguments: [String] = []
    private var isCommand = false
    private var limits: String?
    private var requests: String?
    private var pullPolicy: String?
    private var serviceAccount: String?
    /// Words for `kubectl create`: where and as whom.
    private var options: [String] = []
    private var isInteractive = false
    /// Something here is not ours to understand.
    private var isForeign = false

    init(_ words: [String], commandAt start: Int) {
        options = Array(words[..<start])
        var rest = words[(start + 1)...]
        var plain: [String] = []
        while let word = rest.popFirst() {
            if word == "--" {
                plain += rest
                break
            }
            guard word.hasPrefix("-"), word.count > 1 else {
                plain.append(word)
                // What follows the first word after the name belongs to the program, as `ping -c 3` does.
                if plain.count == 2 {
                    plain += rest.filter { !take($0) }
                    break
                }
                continue
            }
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            func value() -> String { parts.count == 2 ? parts[1] : rest.popFirst() ?? "" }
            switch parts[0] {
            case "--image": image = value()
            case "--replicas", "-r": replicas = Int(value()) ?? 1
            case "-l", "--labels": labels = Self.pairs(value())
            case "--restart": restart = value()
            case "--schedule": schedule = value()
            case "--expose": exposes = parts.count == 1 || parts[1] == "true"
            case "--port": port = Int(value())
            case "--env", "-e": environment += Self.pairs(value())
            case "--command": isCommand = parts.count == 1 || parts[1] == "true"
            case "--limits": limits = value()
            case "--requests": requests = value()
            case "--image-pull-policy": pullPolicy = value()
            case "--serviceaccount": serviceAccount = value()
            case "--generator":
                let text = value()
                if text.hasPrefix("run-pod/") { restart = "Never" } else if text.hasPrefix("job/") { restart = "OnFailure" }
            case "--dry-run", "-o", "--output", "--save-config", "--record", "--validate", "--field-manager":
                if parts[0] == "--record" { continue }
                if parts.count == 1, parts[0] == "-o" || parts[0] == "--output" {
                    options += [word, rest.popFirst() ?? ""]
                } else {
                    options.append(word == "--dry-run" ? "--dry-run=client" : word)
                }
            case "-i", "-t", "-it", "-ti", "--stdin", "--tty", "--rm", "--attach", "-h", "--help", "--overrides", "--privileged", "-f",
                "--filename":
                isInteractive = true
            default:
                if ClassicKubectl.isGlobalFlag(parts[0]) {
                    options.append(word)
                    if parts.count == 1 { options.append(rest.popFirst() ?? "") }
                } else {
                    isForeign = true
                }
            }
        }
        name = plain.first ?? ""
        arguments = Array(plain.dropFirst())
    }

    /// Flags of kubectl's own that people write behind the program's first word.
    private mutating func take(_ word: String) -> Bool {
        if word.hasPrefix("--replicas=") {
            replicas = Int(word.dropFirst("--replicas=".count)) ?? replicas
            return true
        }
        if word.hasPrefix("--image=") {
            image = String(word.dropFirst("--image=".count))
            return true
        }
        return false
    }

    private static func pairs(_ text: String) -> [(String, String)] {
        text.split(separator: ",").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
        }
    }

    /// Nil: today's kubectl does the same, or knows better what is wrong.
    var action: ClassicKubectl.Action? {
        guard let image, !image.isEmpty, !name.isEmpty, !isInteractive, !isForeign else { return nil }
        let own = labels ?? [("run", name)]
        if schedule == nil, restart == "Never" { return nil }
        if schedule == nil, restart != nil, restart != "Always", restart != "OnFailure" { return nil }
        let object: JSON
        let said: String
        let command = arguments.isEmpty ? "" : " -- " + arguments.joined(separator: " ")
        if let schedule {
            object = cronJob(own, schedule)
            said = "kubectl create cronjob \(name) --image=\(image) --schedule=\"\(schedule)\"\(command)"
        } else if restart == "OnFailure" {
            object = job(own)
            said = "kubectl create job \(name) --image=\(image)\(command)"
        } else {
            object = deployment(own)
            let count = replicas == 1 ? "" : " --replicas=\(replicas)"
            said = "kubectl create deployment \(name) --image=\(image)\(count)\(port.map { " --port=\($0)" } ?? "")\(command)"
        }
        var result = object
        var note = "kubectl of today: \(said)"
        if !environment.isEmpty {
            note += "; kubectl set env deployment/\(name) \(environment.map { "\($0.0)=\($0.1)" }.joined(separator: " "))"
        }
        if exposes, let port {
            result = ["apiVersion": "v1", "kind": "List", "items": [service(own, port), object]]
            note += "; kubectl expose deployment \(name) --port=\(port)"
        }
        return .create(result, options: options, note: note)
    }

    private func labelsJSON(_ own: [(String, String)]) -> JSON { JSON(own.reduce(into: [:]) { $0[$1.0] = $1.1 }) }

    private func pod(restart: String) -> JSON {
        var container: JSON = ["name": JSON(name), "image": JSON(image)]
        if !arguments.isEmpty { container[isCommand ? "command" : "args"] = JSON(arguments) }
        if !environment.isEmpty { container["env"] = JSON(environment.map { ["name": JSON($0.0), "value": JSON($0.1)] }) }
        if let port { container["ports"] = [["containerPort": JSON(port)]] }
        if let pullPolicy { container["imagePullPolicy"] = JSON(pullPolicy) }
        var resources: JSON = .emptyObject
        for (key, text) in [("limits", limits), ("requests", requests)] {
            if let text { resources[key] = JSON(Self.pairs(text).reduce(into: [:]) { $0[$1.0] = $1.1 }) }
        }
        if resources != .emptyObject { container["resources"] = resources }
        var spec: JSON = ["containers": [container], "restartPolicy": JSON(restart)]
        if let serviceAccount { spec["serviceAccountName"] = JSON(serviceAccount) }
        return spec
    }

    private func deployment(_ own: [(String, String)]) -> JSON {
        let labels = labelsJSON(own)
        return [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": JSON(name), "labels": labels],
            "spec": [
                "replicas": JSON(replicas), "selector": ["matchLabels": labels],
                "template": ["metadata": ["labels": labels], "spec": pod(restart: "Always")],
            ],
        ]
    }

    private func job(_ own: [(String, String)]) -> JSON {
        let labels = labelsJSON(own)
        return [
            "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": JSON(name), "labels": labels],
            "spec": ["template": ["metadata": ["labels": labels], "spec": pod(restart: "OnFailure")]],
        ]
    }

    private func cronJob(_ own: [(String, String)], _ schedule: String) -> JSON {
        let labels = labelsJSON(own)
        let template: JSON = ["metadata": ["labels": labels], "spec": pod(restart: restart == "Never" ? "Never" : "OnFailure")]
        return [
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": ["name": JSON(name), "labels": labels],
            "spec": [
                "schedule": JSON(schedule), "concurrencyPolicy": "Allow",
                "jobTemplate": ["metadata": ["labels": labels], "spec": ["template": template]],
            ],
        ]
    }

    private func service(_ own: [(String, String)], _ port: Int) -> JSON {
        [
            "apiVersion": "v1", "kind": "Service", "metadata": ["name": JSON(name)],
            "spec": ["selector": labelsJSON(own), "ports": [["port": JSON(port), "protocol": "TCP", "targetPort": JSON(port)]]],
        ]
    }
}
