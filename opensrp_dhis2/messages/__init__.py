"""What people read, in their language: one file of texts a language, one line of data a code."""
