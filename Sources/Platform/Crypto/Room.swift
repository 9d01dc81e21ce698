// Placeholder of the room Crypto until its first file lands.
