// Placeholder of the room Ports until its first file lands.
