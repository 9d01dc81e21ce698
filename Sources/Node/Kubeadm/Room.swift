// Makes and joins clusters.
