"""Text of tables to cells: CSV of any size, within bounds, each cell with its place."""
