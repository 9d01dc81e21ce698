// Placeholder of the room Containers until its first file lands.
