// A pod acts as a service account of its namespace: the name is filled in, and a token is mounted into its containers.
internal import ClusterModel
internal import Essentials

enum ServiceAccountAdmission {
    static let tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// Seconds a token is good for; kubelets ask for a new one in time.
    static let tokenSeconds = 3607
    static let mirrorAnnotation = "kubernetes.io/config.mirror"

    static func admit(_ pod: inout JSON, _ request: AdmissionRequest) throws(ClusterProblem) {
        guard request.settings.injectsServiceAccounts else { return }
        if pod.metaAnnotations[mirrorAnnotation] != nil {
            if !(pod["spec"]?["serviceAccountName"]?.string ?? "").isEmpty {
                throw request.forbidden(pod, "a mirror pod may not reference service accounts")
            }
            return
        }
        var name = pod["spec"]?["serviceAccountName"]?.string ?? ""
        if name.isEmpty { name = pod["spec"]?["serviceAccount"]?.string ?? "" }
        if name.isEmpty { name = "default" }
        let namespace = request.namespace ?? ""
        guard let account = request.lookup(.serviceAccounts, namespace: namespace, name: name) else {
            throw request.forbidden(
                pod, "error looking up service account \(namespace)/\(name): serviceaccount \"\(name)\" not found")
        }
        pod[path: ["spec", "serviceAccountName"]] = JSON(name)
        pod[path: ["spec", "serviceAccount"]] = JSON(name)
        if pod["spec"]?["imagePullSecrets"]?.array?.isEmpty ?? true, let secrets = account["imagePullSecrets"],
            secrets.array?.isEmpty == false
        {
            pod[path: ["spec", "imagePullSecrets"]] = secrets
        }
        let wantsToken = pod["spec"]?["automountServiceAccountToken"]?.bool ?? account["automountServiceAccountToken"]?.bool ?? true
        if wantsToken { mountToken(&pod) }
    }

    private static func mountToken(_ pod: inout JSON) {
        let volumes = pod["spec"]?["volumes"]?.array ?? []
        let volume = "kube-api-access-" + Identifier.short(length: 5)
        let mount: JSON = ["name": JSON(volume), "readOnly": true, "mountPath": JSON(tokenPath)]
        var isMounted = false
        for list in ["initContainers", "containers"] {
            guard var containers = pod["spec"]?[list]?.array else { continue }
            for index in containers.indices {
                let mounts = containers[index]["volumeMounts"]?.array ?? []
                if mounts.contains(where: { $0["mountPath"] == mount["mountPath"] }) { continue }
                containers[index]["volumeMounts"] = .array(mounts + [mount])
                isMounted = true
            }
            pod[path: ["spec", list]] = .array(containers)
        }
        guard isMounted else { return }
        let sources: JSON = [
            ["serviceAccountToken": ["expirationSeconds": JSON(tokenSeconds), "path": "token"]],
            ["configMap": ["name": "kube-root-ca.crt", "items": [["key": "ca.crt", "path": "ca.crt"]]]],
            [
                "downwardAPI": [
                    "items": [["path": "namespace", "fieldRef": ["apiVersion": "v1", "fieldPath": "metadata.namespace"]]]
                ]
            ],
        ]
        pod[path: ["spec", "volumes"]] = .array(
            volumes + [["name": JSON(volume), "projected": ["sources": sources, "defaultMode": 420]]])
    }
}
