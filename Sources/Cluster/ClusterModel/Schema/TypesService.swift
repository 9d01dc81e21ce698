// The types of Service, Endpoints, EndpointSlice, Ingress and IngressClass.

extension TypesText {
    static let service = """
        %api.core.v1
        @Service A lasting name and address for a changing set of pods.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec ServiceSpec | Which pods, on which ports, reached how.
        3 status ServiceStatus ={} | What was last seen.

        @ServiceSpec Which pods a service leads to, on which ports, and how it is reached.
        1 ports []ServicePort key=port keys=port,protocol | The ports of the service.
        2 selector {}string atomic | The labels of the pods it leads to. Without it someone else keeps its endpoints.
        3 clusterIP string | Its address inside the cluster. Given by the server; None makes a headless service without one.
        18 clusterIPs []string atomic | Its addresses inside the cluster, by family.
        4 type string =ClusterIP enum=ClusterIP,ExternalName,LoadBalancer,NodePort | How it is reached from outside.
        5 externalIPs []string atomic | Further addresses at which nodes take connections for it.
        7 sessionAffinity string =None enum=ClientIP,None | ClientIP keeps a client at the same pod.
        8 loadBalancerIP string | The address wished for a LoadBalancer.
        9 loadBalancerSourceRanges []string atomic | The only clients that a LoadBalancer lets in.
        10 externalName string | The name that an ExternalName service stands for.
        11 externalTrafficPolicy string enum=Cluster,Local | Local leads outside connections to pods of the same node only.
        12 healthCheckNodePort int32 | The port at which a node says whether it has pods for it.
        13 publishNotReadyAddresses bool | Pods count even before they are ready.
        14 sessionAffinityConfig SessionAffinityConfig | Settings of session affinity.
        19 ipFamilies []string atomic | The address families it has.
        17 ipFamilyPolicy string ptr enum=PreferDualStack,RequireDualStack,SingleStack | How many address families it gets.
        20 allocateLoadBalancerNodePorts bool ptr | Whether a LoadBalancer gets node ports. True where empty.
        21 loadBalancerClass string ptr | The kind of load balancer.
        22 internalTrafficPolicy string ptr enum=Cluster,Local | Local leads connections from inside to pods of the same node only.
        23 trafficDistribution string ptr | PreferClose prefers pods nearby.

        @ServicePort A port of a service.
        1 name string | Its name; needed where there are several.
        2 protocol string =TCP enum=SCTP,TCP,UDP | The protocol.
        6 appProtocol string ptr | What is spoken over it, as a hint.
        3 port int32 required | The port at the service's address.
        4 targetPort intstr | The port of the pods, by number or name. The same port where empty.
        5 nodePort int32 | The port at every node, for types NodePort and LoadBalancer. Given by the server where empty.

        @SessionAffinityConfig Settings of session affinity.
        1 clientIP ClientIPConfig | Settings of affinity by address.

        @ClientIPConfig Settings of affinity by address.
        1 timeoutSeconds int32 ptr | Seconds without a connection after which the client may go elsewhere.

        @ServiceStatus What was last seen of a service.
        1 loadBalancer LoadBalancerStatus ={} | Where the load balancer is.
        2 conditions []Condition key=type | Observations of its state.

        @LoadBalancerStatus Where a load balancer is.
        1 ingress []LoadBalancerIngress atomic | The points at which it is reached.

        @LoadBalancerIngress A point at which a load balancer is reached.
        1 ip string | Its address.
        2 hostname string | Its name.
        3 ipMode string ptr | VIP or Proxy: whether nodes see the address as the destination.
        4 ports []PortStatus atomic | Its ports.

        @PortStatus The state of a port.
        1 port int32 required | The port.
        2 protocol string required | The protocol.
        3 error string ptr | What is wrong with it.

        @Endpoints The addresses behind a service. EndpointSlices say the same in smaller parts.
        1 metadata ObjectMeta | The service's name, labels and the like.
        2 subsets []EndpointSubset atomic | Groups of addresses that have the same ports.

        @EndpointSubset Addresses that have the same ports.
        1 addresses []EndpointAddress atomic | Addresses that are ready.
        2 notReadyAddresses []EndpointAddress atomic | Addresses that are not ready.
        3 ports []core.v1.EndpointPort atomic | The ports.

        @EndpointAddress An address behind a service.
        1 ip string required | The address.
        3 hostname string | Its host name.
        4 nodeName string ptr | Its node.
        2 targetRef ObjectReference | What it belongs to, such as a pod.

        @core.v1.EndpointPort A port behind a service.
        1 name string | Its name, as in the service.
        2 port int32 required | The port.
        3 protocol string =TCP enum=SCTP,TCP,UDP | The protocol.
        4 appProtocol string ptr | What is spoken over it, as a hint.
        """

    static let discovery = """
        %api.discovery.v1
        @EndpointSlice A part of the addresses behind a service.
        1 metadata ObjectMeta | Name, labels and the like. The label kubernetes.io/service-name names the service.
        4 addressType string required enum=FQDN,IPv4,IPv6 | The kind of its addresses. It cannot change.
        2 endpoints []Endpoint keep atomic | The addresses.
        3 ports []EndpointPort keep atomic | The ports that all of them have.

        @Endpoint One destination behind a service.
        1 addresses []string required merge | Its addresses; clients use the first.
        2 conditions EndpointConditions ={} | Its state.
        3 hostname string ptr | Its host name.
        4 targetRef ObjectReference | What it belongs to, such as a pod.
        5 deprecatedTopology {}string | Unused.
        6 nodeName string ptr | Its node.
        7 zone string ptr | Its zone.
        8 hints EndpointHints | Who should use it.

        @EndpointConditions The state of a destination.
        1 ready bool ptr | It takes new connections.
        2 serving bool ptr | It answers, even while it is ending.
        3 terminating bool ptr | It is ending.

        @EndpointHints Who should use a destination.
        1 forZones []ForZone atomic | These zones.

        @ForZone A zone.
        1 name string required | Its name.

        @EndpointPort A port of a slice.
        1 name string ptr ="" | Its name, as in the service.
        2 protocol string ptr =TCP enum=SCTP,TCP,UDP | The protocol.
        3 port int32 ptr | The port; all where empty.
        4 appProtocol string ptr | What is spoken over it, as a hint.
        """

    static let ingress = """
        %api.networking.v1
        @Ingress Leads HTTP requests from outside to services, by host and path.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec IngressSpec | The rules.
        3 status IngressStatus ={} | Where it is reached.

        @IngressSpec The rules of an ingress.
        4 ingressClassName string ptr | The class that serves it.
        1 defaultBackend IngressBackend | Where requests go that no rule fits.
        2 tls []IngressTLS atomic | Certificates, by host.
        3 rules []IngressRule atomic | Where requests go, by host and path.

        @IngressBackend Where requests go.
        4 service IngressServiceBackend | A service.
        3 resource TypedLocalObjectReference | Another object of the namespace.

        @IngressServiceBackend A service that takes requests.
        1 name string required | The service.
        2 port ServiceBackendPort ={} | Its port.

        @ServiceBackendPort A port of a service, by name or by number.
        1 name string | The name.
        2 number int32 | The number.

        @IngressTLS A certificate for some hosts.
        1 hosts []string atomic | The hosts.
        2 secretName string | The Secret that has it.

        @IngressRule Where the requests for one host go.
        1 host string | The host, such as shop.example.com or *.example.com. Every host where empty.
        2.1 http HTTPIngressRuleValue | Where they go, by path.

        @HTTPIngressRuleValue Where requests go, by path.
        1 paths []HTTPIngressPath required atomic | The paths.

        @HTTPIngressPath Where requests for a path go.
        1 path string | The path; begins with a slash.
        3 pathType string required enum=Exact,ImplementationSpecific,Prefix | How it is compared.
        2 backend IngressBackend required | Where they go.

        @IngressStatus Where an ingress is reached.
        1 loadBalancer IngressLoadBalancerStatus ={} | Its load balancer.

        @IngressLoadBalancerStatus Where a load balancer is.
        1 ingress []IngressLoadBalancerIngress atomic | The points at which it is reached.

        @IngressLoadBalancerIngress A point at which an ingress is reached.
        1 ip string | Its address.
        2 hostname string | Its name.
        4 ports []IngressPortStatus atomic | Its ports.

        @IngressPortStatus The state of a port.
        1 port int32 required | The port.
        2 protocol string required | The protocol.
        3 error string ptr | What is wrong with it.

        @IngressClass A kind of ingress and the controller that serves it.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec IngressClassSpec | The controller.

        @IngressClassSpec The controller of a class.
        1 controller string | Its name, such as example.com/ingress. It cannot change.
        2 parameters IngressClassParametersReference | An object with further settings.

        @IngressClassParametersReference An object with settings.
        1 apiGroup string ptr | Its group.
        2 kind string required | Its kind.
        3 name string required | Its name.
        4 scope string ptr =Cluster enum=Cluster,Namespace | Whether it lives in a namespace.
        5 namespace string ptr | Its namespace.
        """

    /// The form that Ingress had before networking.k8s.io/v1.
    static let oldIngress = """
        %api.networking.v1beta1
        @networking.v1beta1.Ingress Leads HTTP requests from outside to services, by host and path.
        1 metadata ObjectMeta | Name, labels and the like.
        2 spec networking.v1beta1.IngressSpec | The rules.
        3 status IngressStatus ={} | Where it is reached.

        @networking.v1beta1.IngressSpec The rules of an ingress.
        4 ingressClassName string ptr | The class that serves it.
        1 backend networking.v1beta1.IngressBackend | Where requests go that no rule fits.
        2 tls []IngressTLS atomic | Certificates, by host.
        3 rules []networking.v1beta1.IngressRule atomic | Where requests go, by host and path.

        @networking.v1beta1.IngressBackend Where requests go.
        1 serviceName string | A service.
        2 servicePort intstr | Its port, by number or name.
        3 resource TypedLocalObjectReference | Another object of the namespace.

        @networking.v1beta1.IngressRule Where the requests for one host go.
        1 host string | The host. Every host where empty.
        2.1 http networking.v1beta1.HTTPIngressRuleValue | Where they go, by path.

        @networking.v1beta1.HTTPIngressRuleValue Where requests go, by path.
        1 paths []networking.v1beta1.HTTPIngressPath required atomic | The paths.

        @networking.v1beta1.HTTPIngressPath Where requests for a path go.
        1 path string | The path.
        3 pathType string ptr | How it is compared. ImplementationSpecific where empty.
        2 backend networking.v1beta1.IngressBackend required | Where they go.
        """
}
