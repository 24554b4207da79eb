"""What happened, drawn and told: charts, moments, lines of the log, and the report after a sale. Pure."""
