// A kubeconfig with everything in it: the server, its authority, and the client's certificate.

package enum Kubeconfig {
    /// As YAML.
    package static func text(
        cluster: String, server: String, authority: Certificate, user: String, identity: Identity, namespace: String? = nil
    ) -> String {
        let context = "\(user)@\(cluster)"
        var lines = [
            "apiVersion: v1", "kind: Config", "current-context: \(quoted(context))", "clusters:", "- name: \(quoted(cluster))",
            "  cluster:",
            "    server: \(quoted(server))", "    certificate-authority-data: \(Base64.encode(Array(authority.pem.utf8)))", "contexts:",
            "- name: \(quoted(context))", "  context:", "    cluster: \(quoted(cluster))", "    user: \(quoted(user))",
        ]
        if let namespace { lines.append("    namespace: \(quoted(namespace))") }
        lines += [
            "users:", "- name: \(quoted(user))", "  user:",
            "    client-certificate-data: \(Base64.encode(Array(identity.certificate.pem.utf8)))",
            "    client-key-data: \(Base64.encode(Array(identity.key.pem.utf8)))", "preferences: {}",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
    }
}
