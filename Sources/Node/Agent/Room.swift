// Placeholder of the room Agent until its first file lands.
