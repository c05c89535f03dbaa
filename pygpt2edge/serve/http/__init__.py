"""What any HTTP service needs: who may, how much, errors."""
