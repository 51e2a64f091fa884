"""What people read of a run: a page, a table, a CSV file, answers to questions."""
