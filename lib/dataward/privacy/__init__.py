"""How sensitive columns are protected: keys, and one operator per file in ``protect``."""
