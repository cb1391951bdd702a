"""Tables: CSV files, scikit-learn's, truth tables."""
