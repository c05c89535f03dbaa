"""What can be asked of a model and its server beside texts: tokens, distributions, status."""
