// Placeholder of the room Controllers until its first file lands.
