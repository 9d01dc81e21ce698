// Placeholder of the room Terminals until its first file lands.
