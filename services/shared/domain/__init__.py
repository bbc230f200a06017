"""The words of the product as values: frozen, pure, standard library only."""
