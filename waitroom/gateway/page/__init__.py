"""The waiting page: what people who wait see."""
