"""A small OpenSRP district, generated: nobody real."""
