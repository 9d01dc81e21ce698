// Placeholder of the room Gateway until its first file lands.
