// The kubelet of a lab's node.
