// The API server's sockets.
