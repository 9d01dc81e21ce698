// HTTPS to an API server, as a transport of ClusterClient.
