// A pod network in the shape of flannel's well-known manifest.

enum FlannelManifest {
    static let text = """
        kind: Namespace
        apiVersion: v1
        metadata:
          name: kube-flannel
          labels:
            pod-security.kubernetes.io/enforce: privileged
        ---
        kind: ServiceAccount
        apiVersion: v1
        metadata:
          name: flannel
          namespace: kube-flannel
        ---
        kind: ClusterRole
        apiVersion: rbac.authorization.k8s.io/v1
        metadata:
          name: flannel
        rules:
          - apiGroups: [""]
            resources: [pods]
            verbs: [get]
          - apiGroups: [""]
            resources: [nodes]
            verbs: [get, list, watch]
          - apiGroups: [""]
            resources: [nodes/status]
            verbs: [patch]
        ---
        kind: ClusterRoleBinding
        apiVersion: rbac.authorization.k8s.io/v1
        metadata:
          name: flannel
        roleRef:
          apiGroup: rbac.authorization.k8s.io
          kind: ClusterRole
          name: flannel
        subjects:
          - kind: ServiceAccount
            name: flannel
            namespace: kube-flannel
        ---
        kind: ConfigMap
        apiVersion: v1
        metadata:
          name: kube-flannel-cfg
          namespace: kube-flannel
        data:
          cni-conf.json: |
            {
              "name": "cbr0",
              "cniVersion": "0.3.1",
              "plugins": [
                {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
                {"type": "portmap", "capabilities": {"portMappings": true}}
              ]
            }
          net-conf.json: |
            {"Network": "10.244.0.0/16", "EnableNFTables": false, "Backend": {"Type": "vxlan"}}
        ---
        kind: DaemonSet
        apiVersion: apps/v1
        metadata:
          name: kube-flannel-ds
          namespace: kube-flannel
        spec:
          selector:
            matchLabels:
              app: flannel
          template:
            metadata:
              labels:
                app: flannel
            spec:
              hostNetwork: true
              priorityClassName: system-node-critical
              serviceAccountName: flannel
              tolerations:
                - operator: Exists
                  effect: NoSchedule
              initContainers:
                - name: install-cni-plugin
                  image: docker.io/flannel/flannel-cni-plugin:v1.6.0-flannel1
                  command: [cp]
                  args: [-f, /flannel, /opt/cni/bin/flannel]
                  volumeMounts:
                    - name: cni-plugin
                      mountPath: /opt/cni/bin
                - name: install-cni
                  image: docker.io/flannel/flannel:v0.26.1
                  command: [cp]
                  args: [-f, /etc/kube-flannel/cni-conf.json, /etc/cni/net.d/10-flannel.conflist]
                  volumeMounts:
                    - name: cni
                      mountPath: /etc/cni/net.d
                    - name: flannel-cfg
                      mountPath: /etc/kube-flannel/
              containers:
                - name: kube-flannel
                  image: docker.io/flannel/flannel:v0.26.1
                  command: [/opt/bin/flanneld]
                  args: [--ip-masq, --kube-subnet-mgr]
                  resources:
                    requests:
                      cpu: 100m
                      memory: 50Mi
                  securityContext:
                    privileged: false
                    capabilities:
                      add: [NET_ADMIN, NET_RAW]
                  env:
                    - name: POD_NAME
                      valueFrom:
                        fieldRef:
                          fieldPath: metadata.name
                    - name: POD_NAMESPACE
                      valueFrom:
                        fieldRef:
                          fieldPath: metadata.namespace
                    - name: EVENT_QUEUE_DEPTH
                      value: "5000"
                  volumeMounts:
                    - name: run
                      mountPath: /run/flannel
                    - name: flannel-cfg
                      mountPath: /etc/kube-flannel/
                    - name: xtables-lock
                      mountPath: /run/xtables.lock
              volumes:
                - name: run
                  hostPath:
                    path: /run/flannel
                - name: cni-plugin
                  hostPath:
                    path: /opt/cni/bin
                - name: cni
                  hostPath:
                    path: /etc/cni/net.d
                - name: flannel-cfg
                  configMap:
                    name: kube-flannel-cfg
                - name: xtables-lock
                  hostPath:
                    path: /run/xtables.lock
                    type: FileOrCreate

        """
}
