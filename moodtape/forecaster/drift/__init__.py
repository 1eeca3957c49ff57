"""Whether what the model is fed, or how well it does, has moved away from what it learnt on."""
