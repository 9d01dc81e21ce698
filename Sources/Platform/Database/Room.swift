// Placeholder of the room Database until its first file lands.
