// Pods on a lab's node.
