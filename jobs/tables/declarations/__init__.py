"""What each table holds, declared once: one file per stage of the night."""
