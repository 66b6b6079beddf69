"""What a person or another program sees: tables, formats and plots."""
