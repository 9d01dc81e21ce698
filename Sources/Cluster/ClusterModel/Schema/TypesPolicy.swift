// The types of NetworkPolicy and ResourceQuota.

extension TypesText {
    static let policy = """
        %api.networking.v1
        @NetworkPolicy Which connections pods may have.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec NetworkPolicySpec | The rules.

        @NetworkPolicySpec The rules for the selected pods.
        1 podSelector LabelSelector ={} | The pods it holds for; all of the namespace where empty.
        2 ingress []NetworkPolicyIngressRule atomic | Connections to the pods that are allowed.
        3 egress []NetworkPolicyEgressRule atomic | Connections from the pods that are allowed.
        4 policyTypes []string atomic | Ingress, Egress or both: the directions it restricts.

        @NetworkPolicyIngressRule Connections to the pods that are allowed.
        1 ports []NetworkPolicyPort atomic | The ports; all where empty.
        2 from []NetworkPolicyPeer atomic | Where they come from; anywhere where empty.

        @NetworkPolicyEgressRule Connections from the pods that are allowed.
        1 ports []NetworkPolicyPort atomic | The ports; all where empty.
        2 to []NetworkPolicyPeer atomic | Where they go; anywhere where empty.

        @NetworkPolicyPort A port or a range of ports.
        1 protocol string =TCP enum=TCP,UDP,SCTP | The protocol.
        2 port intstr | The port, by number or name.
        3 endPort int32 ptr | The last port of a range.

        @NetworkPolicyPeer The other end of a connection.
        1 podSelector LabelSelector | Pods.
        2 namespaceSelector LabelSelector | Pods of these namespaces.
        3 ipBlock IPBlock | Addresses.

        @IPBlock A range of addresses.
        1 cidr string required | The range.
        2 except []string atomic | Ranges taken out of it.
        """

    static let quota = """
        %api.core.v1
        @ResourceQuota The most that a namespace may hold and use.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec ResourceQuotaSpec ={} | The limits.
        3 status ResourceQuotaStatus ={} | The use.

        @ResourceQuotaSpec Limits of a namespace.
        1 hard {}quantity | The limits, by resource.
        2 scopes []string atomic | Kinds of pods it counts.
        3 scopeSelector any | Kinds of pods it counts, as a selector.

        @ResourceQuotaStatus Use of a namespace.
        1 hard {}quantity | The limits in force.
        2 used {}quantity | The use.
        """
}
