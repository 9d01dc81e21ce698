// Pods' addresses and routes.
