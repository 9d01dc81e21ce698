// Placeholder of the room Screen until its first file lands.
