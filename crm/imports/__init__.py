"""Files of before, brought in from the sheets that programmes keep."""
