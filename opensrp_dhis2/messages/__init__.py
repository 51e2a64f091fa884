"""What people read of codes and kinds, in their language."""
