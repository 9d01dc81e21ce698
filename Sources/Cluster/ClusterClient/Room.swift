// Placeholder of the room ClusterClient until its first file lands.
