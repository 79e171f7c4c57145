"""What a night costs as history grows, beside window SQL, and with one hot item."""
