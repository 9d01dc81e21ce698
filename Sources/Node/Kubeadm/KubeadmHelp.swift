// What kubeadm says of itself, in short.

enum KubeadmHelp {
    static let general = """
        kubeadm: easily bootstrap a secure Kubernetes cluster

        In a lab, every node has all that is needed:

            node1# kubeadm init --apiserver-advertise-address $(hostname -i)
            node2# kubeadm join …   (the line that init prints)

        Usage:
          kubeadm [command]

        Available Commands:
          certs       Commands related to handling Kubernetes certificates
          config      Manage configuration for a kubeadm cluster
          init        Run this command in order to set up the Kubernetes control plane
          join        Run this on any machine you wish to join an existing cluster
          kubeconfig  Kubeconfig file utilities
          reset       Performs a best effort revert of changes made to this host by 'kubeadm init' or 'kubeadm join'
          token       Manage bootstrap tokens
          version     Print the version of kubeadm

        Use "kubeadm [command] --help" for the flags of a command.

        """

    static let token = """
        This command manages bootstrap tokens.

        Usage:
          kubeadm token create [token] [--ttl 24h0m0s] [--usages …] [--groups …] [--description TEXT] [--print-join-command]
          kubeadm token delete TOKEN-ID…
          kubeadm token generate
          kubeadm token list [-o json]

        """

    static let certs = """
        Commands related to handling Kubernetes certificates.

        Usage:
          kubeadm certs certificate-key
          kubeadm certs check-expiration [-o json]
          kubeadm certs renew all|admin.conf|apiserver|apiserver-etcd-client|apiserver-kubelet-client|controller-manager.conf|
            etcd-healthcheck-client|etcd-peer|etcd-server|front-proxy-client|scheduler.conf|super-admin.conf

        """

    static let config = """
        Manage configuration for a kubeadm cluster.

        Usage:
          kubeadm config images list|pull
          kubeadm config print init-defaults|join-defaults [--component-configs KubeletConfiguration,KubeProxyConfiguration]
          kubeadm config validate --config FILE

        """

    static func text(_ command: String) -> String {
        func flags(_ title: String, _ usage: String, _ flags: Set<String>, _ switches: Set<String>) -> String {
            let lines = (flags.map { "      --\($0) value" } + switches.map { "      --\($0)" }).sorted()
            return "\(title)\n\nUsage:\n  \(usage)\n\nFlags:\n\(lines.joined(separator: "\n"))\n"
        }
        switch command {
        case "init":
            return flags(
                "Run this command in order to set up the Kubernetes control plane.\n\nPhases: \(Kubeadm.phases.joined(separator: ", "))",
                "kubeadm init [flags]", Kubeadm.initFlags, Kubeadm.initSwitches)
        case "join":
            return flags(
                "Run this on any machine you wish to join an existing cluster.",
                "kubeadm join [api-server-endpoint] [flags]", Kubeadm.joinFlags, Kubeadm.joinSwitches)
        case "reset":
            return flags("Reverts what init or join did to this node.", "kubeadm reset [flags]", Kubeadm.resetFlags, Kubeadm.resetSwitches)
        case "token": return token
        case "certs": return certs
        case "config": return config
        case "version": return "Print the version of kubeadm.\n\nUsage:\n  kubeadm version [-o short|json|yaml]\n"
        case "kubeconfig": return "Kubeconfig file utilities.\n\nUsage:\n  kubeadm kubeconfig user --client-name NAME [--org GROUP]\n"
        default: return general
        }
    }
}
