// Placeholder of the room Web until its first file lands.
