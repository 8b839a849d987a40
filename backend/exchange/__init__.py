from exchange import compiled

compiled.prefer()
