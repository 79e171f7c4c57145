"""Census-Income: two tasks, income above 50,000 and never married, as in the MMoE and PLE papers."""
