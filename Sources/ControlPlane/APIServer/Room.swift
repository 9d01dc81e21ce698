// Placeholder of the room APIServer until its first file lands.
