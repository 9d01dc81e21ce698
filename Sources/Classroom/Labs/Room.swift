// Placeholder of the room Labs until its first file lands.
