// Placeholder of the room Kernel until its first file lands.
