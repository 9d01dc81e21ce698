// Placeholder of the room Kubelet until its first file lands.
