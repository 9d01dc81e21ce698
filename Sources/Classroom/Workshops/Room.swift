// Placeholder of the room Workshops until its first file lands.
