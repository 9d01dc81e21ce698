// Demands beyond the verb and resource of a request, for which an object must be looked at: signers, and pods of a node.
internal import ClusterClient
package import ClusterModel
internal import Essentials

extension Access {
    /// Throws 403. Called after `authorize`.
    package func demandMore(_ user: UserInfo, _ request: RequestAttributes) async throws(ClusterProblem) {
        guard request.isResource else { return }
        switch (request.group, request.resource, request.subresource, request.verb) {
        case ("certificates.k8s.io", "certificatesigningrequests", "approval", "update"),
            ("certificates.k8s.io", "certificatesigningrequests", "approval", "patch"):
            try await demandSigner("approve", user, request)
        case ("certificates.k8s.io", "certificatesigningrequests", "status", "update"),
            ("certificates.k8s.io", "certificatesigningrequests", "status", "patch"):
            try await demandSigner("sign", user, request)
        case ("", "pods", "", "delete"), ("", "pods", "status", "update"), ("", "pods", "status", "patch"),
            ("", "pods", "eviction", "create"):
            guard let node = NodeAuthorizer.node(user) else { return }
            let pod = try await client.get(.pods, namespace: request.namespace, name: request.name)
            guard pod["spec"]?["nodeName"]?.string == node else {
                let what =
                    switch request.subresource {
                    case "": "can only delete pods"
                    case "status": "can only update pod status for pods"
                    default: "can only evict pods"
                    }
                throw .forbidden(.pods, request.name, "node \"\(node)\" \(what) with spec.nodeName set to itself")
            }
        case ("", "nodes", _, "update"), ("", "nodes", _, "patch"), ("", "nodes", _, "delete"):
            guard let node = NodeAuthorizer.node(user), node != request.name else { return }
            throw .forbidden(.nodes, request.name, "node \"\(node)\" is not allowed to modify node \"\(request.name)\"")
        default: break
        }
    }

    private func demandSigner(_ verb: String, _ user: UserInfo, _ request: RequestAttributes) async throws(ClusterProblem) {
        if user.groups.contains(Self.masters) { return }
        let document = try await client.get(.certificateSigningRequests, name: request.name)
        let signer = document["spec"]?["signerName"]?.string ?? ""
        let domain = signer.prefix { $0 != "/" } + "/*"
        for name in [signer, String(domain)] {
            let wanted = RequestAttributes(verb: verb, group: "certificates.k8s.io", version: "v1", resource: "signers", name: name)
            if await decide(user, wanted).isAllowed { return }
        }
        throw .forbidden(
            .certificateSigningRequests, request.name, "user not permitted to \(verb) requests with signerName \"\(signer)\"")
    }
}
