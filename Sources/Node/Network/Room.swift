// Placeholder of the room Network until its first file lands.
