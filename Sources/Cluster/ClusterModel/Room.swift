// Placeholder of the room ClusterModel until its first file lands.
