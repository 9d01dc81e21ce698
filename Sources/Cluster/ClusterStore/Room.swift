// Placeholder of the room ClusterStore until its first file lands.
